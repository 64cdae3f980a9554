/**
 * Plays a recording of the real ldirectord again: the same program, the same configurations and fates of the servers, with our directoradm
 * in the place of ipvsadm and our director in that of the kernel.
 */
import { rmSync } from 'node:fs';
import { byHand, inForeground } from '../../monitor/recorded-configurations.ts';
import type { Recorded, RecordedAction, RecordedStep } from '../../monitor/recording.ts';
import { waitFor } from '../../support/until.ts';
import type { Lab } from '../lab.ts';
import { isRead, showPlayed, showRecorded, type Shown } from './ldirectord-shown.ts';
import type { Program } from './program.ts';
import type { RealLdirectord } from './real-ldirectord.ts';
import { ServerFates } from './server-fates.ts';

export interface PlayedStep {
  readonly title: string;
  readonly recorded: Shown;
  readonly played: Shown;
}

/** Seconds in which a step must have come out as recorded. */
const limit = 90;

const file = '/run/ld.cf';

/** Programs for external checks. A server is well unless there is a file that names it. */
const programs = {
  'ext.sh': '#!/bin/sh\n[ ! -e "/run/ill.$3" ]\n',
  'ext.pl': 'exit(-e "/run/ill.$ARGV[2]" ? 1 : 0);\n',
  'slow.sh': '#!/bin/sh\nexec sleep 60\n',
};

/** @param configurations one for each start and reload, unless the recording carries them */
export async function* replay(
  lab: Lab,
  ldirectord: RealLdirectord,
  recording: readonly Recorded[],
  configurations: readonly string[] = [],
): AsyncGenerator<PlayedStep> {
  const given = configurations.values();
  const stage = new Stage(lab, ldirectord);
  const [first] = recording;
  const foundFile = first !== undefined && 'action' in first && !first.stderr.includes('not found');
  if (foundFile) ldirectord.write('ld.cf', configurations[0] ?? '');
  let carried: string | undefined;
  let actions: RecordedAction[] = [];
  for (const record of recording) {
    if ('scenario' in record) carried = record.config;
    else if ('action' in record) actions.push(record);
    else {
      yield await stage.step(record, actions, () => carried ?? given.next().value ?? '');
      actions = [];
    }
  }
}

class Stage {
  readonly #lab: Lab;
  readonly #ldirectord: RealLdirectord;
  readonly #fates: ServerFates;
  /** A daemon that stays in the foreground. */
  #foreground: Program | undefined;

  constructor(lab: Lab, ldirectord: RealLdirectord) {
    this.#lab = lab;
    this.#ldirectord = ldirectord;
    for (const [name, text] of Object.entries(programs)) ldirectord.write(name, text);
    this.#fates = new ServerFates(lab.servers, ({ address }, well) => {
      if (well) rmSync(ldirectord.path(`ill.${address}`));
      else ldirectord.write(`ill.${address}`, '');
    });
  }

  async step(
    step: RecordedStep,
    actions: readonly RecordedAction[],
    nextConfig: () => string,
  ): Promise<PlayedStep> {
    const { step: title } = step;
    const [calls, log] = [this.#ldirectord.calls().length, this.#ldirectord.log().length];
    for (const command of byHand[title] ?? []) await this.#lab.adm(...command.split(' '));
    if (!this.#ldirectord.runs) await this.#fates.allWell();
    await this.#changeServers(title);
    this.#startInForeground(title);
    const answers: RecordedAction[] = [];
    for (const action of actions) answers.push(await this.#act(action, step, nextConfig));
    if (title.endsWith(': stopped')) await this.#stopInForeground(calls, step.calls.length);

    const recorded = showRecorded(step, actions);
    const look = () =>
      showPlayed(title, this.#ldirectord.calls().slice(calls), this.#ldirectord.log().slice(log), answers);
    await this.#untilAs(recorded, look);
    if (this.#foreground !== undefined) await this.#ldirectord.untilItSleeps(this.#foreground.pid);
    if (answers.at(-1)?.action === 'stop') await this.#ldirectord.untilItEnded();
    return { title, recorded, played: { table: (await this.#lab.adm('-L', '-n')).stdout, ...look() } };
  }

  async #act(
    recorded: RecordedAction,
    step: RecordedStep,
    nextConfig: () => string,
  ): Promise<RecordedAction> {
    const { action } = recorded;
    const { runs } = this.#ldirectord;
    if (recorded.stderr.includes('stale pid file')) await this.#ldirectord.untilItEnded();
    if (action === 'start' && !runs) this.#ldirectord.write('ld.cf', nextConfig());
    if (action === 'reload' && runs) await this.#change(nextConfig(), step.log);
    const { code, stdout, stderr } = await this.#ldirectord.run(file, action);
    return { action, rc: code ?? -1, stdout, stderr };
  }

  /** Writes the configuration file under a running daemon, and waits until it has said so if it once did. */
  async #change(config: string, recordedLog: string): Promise<void> {
    // Asleep, it has seen the file as it was.
    await this.#ldirectord.untilItSleeps();
    const seen = this.#ldirectord.log().length;
    this.#ldirectord.write('ld.cf', config);
    const notice = ' - ignore new configuration';
    if (!recordedLog.includes(notice)) return;
    const said = () => this.#ldirectord.log().slice(seen).includes(notice);
    await waitFor('ldirectord to see its new file', limit, said);
  }

  #startInForeground(title: string): void {
    if (title.startsWith('supervised: running')) {
      this.#ldirectord.write('ld.cf', `${inForeground}supervised=yes\n`);
      this.#foreground = this.#ldirectord.start(file, 'start');
    } else if (title.startsWith('-d: ')) {
      this.#ldirectord.write('ld.cf', inForeground);
      this.#foreground = this.#ldirectord.start('-d', file, 'start');
    }
  }

  /** Stops it when it has done what it does before; the last two commands are those of the end. */
  async #stopInForeground(callsBefore: number, commands: number): Promise<void> {
    const daemon = this.#foreground;
    if (daemon === undefined) return;
    await waitFor('the commands of the start', limit, () => {
      const since = this.#ldirectord.calls().slice(callsBefore);
      return since.filter((call) => !isRead(call)).length >= commands - 2;
    });
    daemon.kill('SIGTERM');
    await daemon.exited;
    this.#foreground = undefined;
  }

  /** Waits until what `look` sees is as recorded, or for long enough. */
  async #untilAs(recorded: Shown, look: () => Omit<Shown, 'table'>): Promise<void> {
    const wanted = JSON.stringify({ ...recorded, table: undefined });
    const nothing = recorded.reads.every((count) => count === 0) && recorded.log.length === 0;
    if (nothing && this.#ldirectord.runs) await this.#ldirectord.untilItHasChecked();
    const deadline = performance.now() + limit * 1000;
    let seen = -1;
    await waitFor('the step', limit + 1, () => {
      const progress = this.#ldirectord.progress();
      if (progress === seen) return performance.now() > deadline;
      seen = progress;
      return JSON.stringify(look()) === wanted;
    });
  }

  /** What the title says of servers becomes true, of all of them between the same two checks. */
  async #changeServers(title: string): Promise<void> {
    const fates = this.#fates.toldBy(title);
    if (fates.length === 0) return;
    if (!this.#ldirectord.runs) return this.#fates.fulfil(fates, title);
    const seen = this.#ldirectord.log().length;
    await this.#ldirectord.whileItSleeps(() => this.#fates.fulfil(fates, title));
    if (!fates.some(({ condition }) => condition === 'blinks')) return;
    await waitFor('two failures', limit, () => this.#ldirectord.log().slice(seen).includes('failure 2/3'));
    const over = fates.map(({ server }) => ({ server, condition: 'well' as const }));
    await this.#ldirectord.whileItSleeps(() => this.#fates.fulfil(over, title));
  }
}
