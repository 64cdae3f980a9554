/**
 * What the chosen engine will not do of a configuration, as warnings for people. Such a service or destination stays in
 * the table, where ipvsadm's users expect it, but gets no traffic.
 */
import type { Configuration, Diagnostic, Fallback, Position, Real, Virtual } from '../config/model.ts';
import type { DestinationSettings } from '../director/table.ts';
import { ipipTunnel } from '../director/table.ts';
import type { Engine } from '../engines/engine.ts';
import { formatEndpoint } from '../util/ip.ts';

interface Refused {
  readonly at: Position;
  readonly directive: string;
}

/** One warning for each reason, naming the first directive and how many more there are. */
export function refusals(
  configuration: Configuration,
  engine: Pick<Engine, 'refuses'>,
): readonly Diagnostic[] {
  const byReason = new Map<string, Refused[]>();
  const note = (reason: string | undefined, refused: Refused): void => {
    if (reason === undefined) return;
    const others = byReason.get(reason);
    if (others === undefined) byReason.set(reason, [refused]);
    else others.push(refused);
  };
  for (const virtual of configuration.virtuals) {
    const whole = engine.refuses(virtual.service, virtual.settings);
    note(whole, { at: virtual.at, directive: `virtual=${virtual.label}` });
    if (whole !== undefined) continue;
    for (const { destination, ...refused } of destinations(virtual)) {
      note(engine.refuses(virtual.service, virtual.settings, destination), refused);
    }
  }
  return Array.from(byReason, ([reason, all]) => warning(configuration.file, reason, all));
}

function destinations(virtual: Virtual): (Refused & { destination: DestinationSettings })[] {
  const reals = virtual.reals.map((real) => ({
    at: real.at,
    directive: `real=${describe(real)}`,
    destination: settings(real, real.weight, real),
  }));
  const { fallback } = virtual;
  if (fallback === undefined) return reals;
  const none = { upperThreshold: 0, lowerThreshold: 0 };
  const last = {
    at: virtual.at,
    directive: `fallback=${describe(fallback)} of virtual=${virtual.label}`,
    destination: settings(fallback, 1, none),
  };
  return [...reals, last];
}

function settings(
  { forwarding }: Pick<Real, 'forwarding'>,
  weight: number,
  thresholds: Pick<Real, 'upperThreshold' | 'lowerThreshold'>,
): DestinationSettings {
  const { upperThreshold, lowerThreshold } = thresholds;
  return { forwarding, weight, upperThreshold, lowerThreshold, tunnel: ipipTunnel };
}

function describe(server: Real | Fallback): string {
  return `${formatEndpoint(server.address, server.port)} ${server.forwarding}`;
}

function warning(file: string, reason: string, all: readonly Refused[]): Diagnostic {
  const [first] = all;
  const lines = [...new Set(all.slice(1).map(({ at }) => at.line))];
  const more =
    lines.length === 0
      ? ''
      : `; the same for ${all.length - 1} more, line${lines.length === 1 ? '' : 's'} ${ranges(lines)}`;
  return {
    severity: 'warning',
    file,
    ...(first && { at: first.at }),
    message: `${first?.directive ?? ''}: ${reason}${more}`,
  };
}

/** `4-9, 12` of ascending numbers, the first few. */
function ranges(lines: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const line of lines) {
    const last = runs.at(-1);
    if (last?.[1] === line - 1) last[1] = line;
    else runs.push([line, line]);
  }
  const shown = runs.slice(0, 6).map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
  return `${shown.join(', ')}${runs.length > shown.length ? ', ...' : ''}`;
}
