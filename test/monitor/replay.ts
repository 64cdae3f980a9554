/**
 * Plays a recording twice: the configuration and the fate of the servers to our monitor, and the commands that the real
 * ldirectord issued to our directoradm. Each has a director of its own.
 */
import { Monitor } from '../../src/monitor/monitor.ts';
import { createChecker } from '../../src/monitor/checks/checker.ts';
import type { Checker } from '../../src/monitor/check.ts';
import { isPing } from '../../src/monitor/check.ts';
import type { CheckSettings } from '../../src/config/model.ts';
import { Lab } from '../cli/directoradm-harness.ts';
import { configurationOf } from '../config/parse-helpers.ts';
import { FakeClock, settle } from './fake-clock.ts';
import { linesToSay, tidy } from './recorded-log.ts';
import { byHand } from './recorded-configurations.ts';
import type { Recorded, RecordedStep } from './recording.ts';
import type { Condition } from './step-title.ts';
import { serverAt, serversIn } from './step-title.ts';

/** Outcome of one step, once as recorded and once as played. */
export interface Outcome {
  readonly title: string;
  /** `ipvsadm -L -n`. */
  readonly table: { readonly recorded: string; readonly monitor: string; readonly directoradm: string };
  /** `ipvsadm -L -n --thresholds`, which was not recorded. */
  readonly thresholds: { readonly monitor: string; readonly directoradm: string };
  readonly log: { readonly recorded: readonly string[]; readonly monitor: readonly string[] };
}

const second = 1000;

/** @param configurations one for each start and reload, unless the recording carries them */
export async function* replay(
  recording: readonly Recorded[],
  configurations: readonly string[] = [],
): AsyncGenerator<Outcome> {
  const given = configurations.values();
  const stage = new Stage();
  let config: string | undefined;
  let waiting: string[] = [];
  for (const record of recording) {
    if ('scenario' in record) {
      config = record.config;
    } else if ('action' in record) {
      waiting.push(record.action);
    } else {
      yield await stage.step(record, waiting, () => config ?? given.next().value ?? '');
      waiting = [];
    }
  }
}

class Stage {
  readonly #ours = new Lab();
  readonly #theirs = new Lab();
  readonly #clock = new FakeClock();
  readonly #conditions = new Map<string, Condition>();
  readonly #log: string[] = [];
  #running: Monitor | undefined;
  #config = '';

  async step(step: RecordedStep, actions: readonly string[], nextConfig: () => string): Promise<Outcome> {
    const title = step.step;
    for (const command of byHand[title] ?? []) await this.#both(command);
    const before = serviceLines(await listing(this.#theirs));
    const starts = actions.includes('start') && this.#running === undefined;
    if (starts) this.#conditions.clear();
    for (const [server, condition] of serversIn(title)) this.#conditions.set(server, condition);
    for (const action of actions) await this.#act(action, nextConfig);
    await this.#clock.advance(2 * second);
    for (const [server, condition] of this.#conditions) {
      if (condition === 'blinks') this.#conditions.set(server, 'well');
    }
    await this.#clock.advance(4 * second);
    for (const call of step.calls) await this.#theirs.shell(`ipvsadm ${call}`);

    const begins = starts || actions.some((action) => action === 'reload' || action === 'restart');
    const after = serviceLines(step.ipvsadm_Ln);
    return {
      title,
      table: {
        recorded: step.ipvsadm_Ln,
        monitor: await listing(this.#ours),
        directoradm: await listing(this.#theirs),
      },
      thresholds: {
        monitor: await listing(this.#ours, '--thresholds'),
        directoradm: await listing(this.#theirs, '--thresholds'),
      },
      log: {
        recorded: linesToSay(step.log, { begins, before, after }),
        monitor: tidy(this.#log.splice(0)),
      },
    };
  }

  async #act(action: string, nextConfig: () => string): Promise<void> {
    switch (action) {
      case 'start':
        if (this.#running !== undefined) return;
        this.#config = nextConfig();
        return this.#start();
      case 'restart':
        await this.#stop();
        return this.#start();
      case 'reload':
        this.#config = nextConfig();
        this.#running?.reload(await configurationOf(this.#config));
        return;
      case 'stop':
        return this.#stop();
    }
  }

  async #start(): Promise<void> {
    const log = (message: string): void => void this.#log.push(message);
    this.#running = new Monitor({
      director: this.#ours.director,
      clock: this.#clock,
      check: this.#checker(log),
      shell: () => Promise.resolve({ status: 0, detail: 'exit status 0' }),
      // in the order of the file, as in the recordings
      spread: () => 0,
      mail: () => undefined,
      checked: () => undefined,
      explain: () => undefined,
      log,
    });
    this.#running.start(await configurationOf(this.#config));
  }

  async #stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  async #both(command: string): Promise<void> {
    for (const lab of [this.#ours, this.#theirs]) await lab.shell(`ipvsadm ${command}`);
  }

  /** The real one, but for what would go over the network or run programs. */
  #checker(log: (message: string) => void): Checker {
    const real = createChecker({
      clock: this.#clock,
      ping: async (address) => {
        await settle();
        if (this.#conditionOf(address) !== 'well') throw new Error('no answer');
      },
      run: async (file, args, signal) => {
        if (file.includes('slow')) await aborted(signal);
        // The real address is the last argument but one.
        const well = this.#conditionOf(args.at(-2) ?? '') === 'well';
        return { status: well ? 0 : 1, detail: `exit status ${well ? 0 : 1}` };
      },
      trust: () => {
        throw new Error('no certificates here');
      },
      find: () => Promise.reject(new Error('no answers to look through here')),
      ftpPassive: true,
      log,
    });
    return (settings, signal) =>
      isNetworked(settings) ? this.#answer(settings, signal) : real(settings, signal);
  }

  async #answer(settings: CheckSettings, signal: AbortSignal): ReturnType<Checker> {
    const condition = this.#conditionOf(settings.address);
    if (condition === 'hangs') await aborted(signal);
    const up = condition === 'well' || (condition === 'ill' && settings.type === 'connect');
    return { up, detail: condition ?? 'no host', milliseconds: 0 };
  }

  /** Undefined where no host is. */
  #conditionOf(address: string): Condition | undefined {
    const server = serverAt(address);
    return server === undefined ? undefined : (this.#conditions.get(server) ?? 'well');
  }
}

function isNetworked(settings: CheckSettings): boolean {
  if (settings.type === 'connect') return !isPing(settings);
  return settings.type === 'negotiate' && settings.service !== 'none';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

async function listing(lab: Lab, ...options: readonly string[]): Promise<string> {
  return (await lab.shell(['ipvsadm -L -n', ...options].join(' '))).stdout;
}

/** `TCP  10.1.0.100:80 rr` and its like. */
function serviceLines(table: string): readonly string[] {
  return table.split('\n').filter((line) => /^(?:TCP|UDP|FWM) /.test(line));
}
