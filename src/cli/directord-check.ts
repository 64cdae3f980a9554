/**
 * What `directord CONFIG check` prints: every virtual service as `ipvsadm -L -n` will list it once all its servers are
 * up, with the fallback and how its servers are checked.
 */
import type { CheckSettings, Configuration, Real, Virtual } from '../config/model.ts';
import { formatEndpoint } from '../util/ip.ts';
import { forwardNames } from './directoradm-listing.ts';
import { formatSchedulerFlags } from './directoradm-scheduler-flags.ts';
import { count } from '../util/count.ts';

export function checkText({ file, virtuals }: Configuration): string {
  const reals = virtuals.reduce((sum, virtual) => sum + virtual.reals.length, 0);
  const head = `${file}: ${count(virtuals.length, 'virtual service')}, ${count(reals, 'real server')}`;
  return [[head], ...virtuals.map(block)].map((lines) => `${lines.join('\n')}\n`).join('\n');
}

function block(virtual: Virtual): string[] {
  const lines = [serviceLine(virtual), ...virtual.reals.map(realLine)];
  if (virtual.fallback !== undefined) {
    const { address, port, forwarding } = virtual.fallback;
    lines.push(`  fallback  ${formatEndpoint(address, port)} ${forwardNames[forwarding]}`);
  }
  if (virtual.fallbackcommand !== undefined) lines.push(`  fallback  command ${virtual.fallbackcommand}`);
  lines.push(...checkLines(virtual));
  lines.push(`  failed    ${failedText(virtual)}`);
  return lines;
}

function serviceLine({ service, label, settings }: Virtual): string {
  const protocol = service.kind === 'fwmark' ? 'FWM' : service.protocol.toUpperCase();
  const words = [protocol.padEnd(4), label];
  if (service.kind === 'fwmark' && service.family === 'inet6') words.push('IPv6');
  const { scheduler, schedulerFlags } = settings;
  words.push(scheduler);
  if (schedulerFlags !== 0) words.push(`(${formatSchedulerFlags(schedulerFlags, scheduler)})`);
  if (settings.persistence > 0) words.push(`persistent ${settings.persistence} s`);
  if (settings.onePacket) words.push('ops');
  if (settings.proxyProtocol !== 'none') words.push(`proxyprotocol ${settings.proxyProtocol}`);
  return words.join(' ');
}

function realLine(real: Real): string {
  const { address, port, forwarding, weight, upperThreshold, lowerThreshold } = real;
  const endpoint = formatEndpoint(address, port).padEnd(28);
  const limits =
    upperThreshold > 0 || lowerThreshold > 0
      ? `  at most ${upperThreshold}, again below ${lowerThreshold}`
      : '';
  return `  -> ${endpoint} ${forwardNames[forwarding].padEnd(7)} ${String(weight).padEnd(6)}${limits}`.trimEnd();
}

/** One line for each way of checking; it names its servers when there is more than one way. */
function checkLines({ reals, checkinterval }: Virtual): string[] {
  const ways = new Map<string, string[]>();
  for (const { check, address, port } of reals) {
    const way = `${checkWords(check)}, every ${checkinterval} s`;
    const servers = ways.get(way) ?? [];
    ways.set(way, [...servers, formatEndpoint(address, port)]);
  }
  return Array.from(
    ways,
    ([way, servers]) => `  check     ${way}${ways.size > 1 ? ` (${servers.join(', ')})` : ''}`,
  );
}

function checkWords(check: CheckSettings): string {
  const port = check.port > 0 ? ` to port ${check.port}` : '';
  switch (check.type) {
    case 'on':
      return 'none: always up';
    case 'off':
      return 'none: never put in';
    case 'connect':
      return `connect${port}, limit ${check.checktimeout} s`;
    case 'ping':
      return `ping, ${count(check.checkcount, 'try', 'tries')} of ${check.checktimeout} s`;
    case 'external':
    case 'external-perl':
      return `${check.type} ${check.command}, limit ${check.checktimeout} s`;
    case 'negotiate':
      return `${negotiateText(check)}, limit ${check.negotiatetimeout} s`;
    case 'combined':
      return `${negotiateText(check)}, limit ${check.negotiatetimeout} s, after every ${count(check.connects, 'connect')}`;
  }
}

function negotiateText(check: CheckSettings): string {
  const words = [`negotiate ${check.service}${check.port > 0 ? ` to port ${check.port}` : ''}`];
  // the slash is the parser's, and means nothing but to web servers
  const request = check.service.startsWith('http') ? check.request : check.request.replace(/^\//, '');
  if (request !== '') words.push(`request ${request}`);
  if (check.virtualhost !== undefined) words.push(`virtualhost ${check.virtualhost}`);
  if (check.receive !== undefined) words.push(`receive "${check.receive.text}"`);
  return words.join(', ');
}

function failedText({ failurecount, quiescent, cleanstop }: Virtual): string {
  const when = `after ${count(failurecount, 'failure')} a server is`;
  const what = quiescent ? 'kept with weight 0' : 'taken out';
  return `${when} ${what}${cleanstop ? '' : '; the table is left as it is on stop'}`;
}
