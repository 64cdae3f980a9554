/** Does to our scheduler what the name of a recording of the kernel's says was done to that. */
import type { Flow } from '../../src/scheduling/scheduler.ts';
import type { Lab, NewLab } from './lab.ts';
import { flowFrom, newLab } from './lab.ts';

const REFUSED = 'ECONNREFUSED';

/** What we choose in the recording's scenario. Marks such as `|del rs2|` stand where the table was changed. */
export function replay(name: string, kernel: readonly string[], withLab: NewLab = newLab): string[] {
  const scheduler = /^(?:udp )?(\w+)/.exec(name)?.[1] ?? '';
  if (scheduler === 'edit') return replayTableChanges(build(withLab('rr', 0, 4), '', name), kernel, true);
  const flags = [
    ['fallback', 1],
    ['-port', 2],
  ] as const;
  const flag = flags.reduce((sum, [word, bit]) => (name.includes(word) ? sum | bit : sum), 0);
  const weights = / w=([\d,]+)/.exec(name)?.[1] ?? (name.startsWith('wrr ') ? '4,2,1' : '');
  const lab = build(withLab(scheduler, flag, 4), weights, name);
  if (name.includes(' map')) return replayMap(lab, name, kernel);
  if (name.startsWith('udp')) return replayUdp(lab, name, kernel.length);
  if (name.endsWith('no-dests')) for (const server of [1, 2, 3]) lab.delete(server);
  return replayTableChanges(lab, kernel, !name.includes('keep-open'));
}

function build(lab: Lab, weightList: string, name: string): Lab {
  const weights = weightList === '' ? [1, 1, 1] : weightList.split(',').map(Number);
  const order = /added-in-order=(\d+)/.exec(name)?.[1] ?? '123';
  const upper = Number(/(?:u-threshold|x)=(\d+)/.exec(name)?.[1] ?? 0);
  const lower = Number(/y=(\d+)/.exec(name)?.[1] ?? 0);
  for (const server of Array.from(order, Number)) {
    lab.add(server, { weight: weights[server - 1] ?? 1, upper, lower });
  }
  return lab;
}

/** Connections one by one; a closed one is inactive (TIME_WAIT) by the time of the next. */
function replayTableChanges(lab: Lab, kernel: readonly string[], closing: boolean): string[] {
  return kernel.map((step) => {
    if (step.startsWith('|')) {
      change(lab, step.replaceAll('|', ''));
      return step;
    }
    return connect(lab, flowFrom(2), closing);
  });
}

function change(lab: Lab, step: string): void {
  const [, scheduler] = /^-E (\w+)/.exec(step) ?? [];
  const [, server, weight] = /^rs(\d) w(\d+)/.exec(step) ?? [];
  const [, verb, which] = /^(del|add) rs(\d)/.exec(step) ?? [];
  if (scheduler !== undefined) lab.editService(scheduler);
  else if (server !== undefined) lab.edit(Number(server), { weight: Number(weight) });
  else if (verb === 'del') lab.delete(Number(which));
  else if (verb === 'add') lab.add(Number(which), { weight: 1 });
  else throw new Error(`a step of unknown meaning: ${step}`);
}

function replayMap(lab: Lab, name: string, kernel: readonly string[]): string[] {
  if (name.includes('rs2-w0')) lab.edit(2, { weight: 0 });
  return kernel.map((step) => {
    const number = step.split(':')[0] ?? '';
    const flow = name.includes('sport') ? flowFrom(2, Number(number)) : flowFrom(Number(number));
    return `${number}:${connect(lab, flow, true).replace('rs', '')}`;
  });
}

/** A socket is a flow that is scheduled once; with one-packet scheduling every datagram is. */
function replayUdp(lab: Lab, name: string, count: number): string[] {
  if (name.includes('new-sockets')) lab.pick(); // the socket of the recording before, on the same service
  const first = name.includes('same-socket') && !name.includes('OPS') ? lab.pick() : undefined;
  return Array.from({ length: count }, () => `rs${first ?? lab.pick()}`);
}

function connect(lab: Lab, flow: Flow, closing: boolean): string {
  const server = lab.pick(flow);
  if (server === undefined) return REFUSED;
  const slot = lab.slot(server);
  lab.pool.addInactive(slot, 1);
  lab.pool.move(slot, 'active');
  if (closing) lab.pool.move(slot, 'inactive');
  return `rs${server}`;
}
