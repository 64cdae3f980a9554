/**
 * Plays a recording of the real ldirectord again: the same program, the same configurations and fates of the servers, with our directoradm
 * in the place of ipvsadm and our director in that of the kernel.
 */
import { rmSync } from 'node:fs';
import { byHand, inForeground } from '../../monitor/recorded-configurations.ts';
import type { Recorded, RecordedAction, RecordedStep } from '../../monitor/recording.ts';
import { serversIn, type Condition } from '../../monitor/step-title.ts';
import { waitFor } from '../../support/until.ts';
import type { Lab } from '../lab.ts';
import { isRead, showRecorded, showPlayed, type Shown } from './ldirectord-shown.ts';
import type { Program } from './program.ts';
import type { RealLdirectord } from './real-ldirectord.ts';
import type { WebServer } from './web-server.ts';

export interface PlayedStep {
  readonly title: string;
  readonly recorded: Shown;
  readonly played: Shown;
}

/** Seconds in which a step must have come out as recorded. */
const limit = 45;

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
  readonly #conditions = new Map<WebServer, Condition>();
  /** A daemon that stays in the foreground. */
  #foreground: Program | undefined;

  constructor(lab: Lab, ldirectord: RealLdirectord) {
    this.#lab = lab;
    this.#ldirectord = ldirectord;
    for (const [name, text] of Object.entries(programs)) ldirectord.write(name, text);
    for (const server of lab.servers) server.write('index.html', 'Test Page\n');
  }

  async step(
    step: RecordedStep,
    actions: readonly RecordedAction[],
    nextConfig: () => string,
  ): Promise<PlayedStep> {
    const title = step.step;
    const before = { calls: this.#ldirectord.calls().length, log: this.#ldirectord.log().length };
    const recorded = showRecorded(step, actions);
    for (const command of byHand[title] ?? []) await this.#lab.adm(...command.split(' '));
    if (!this.#ldirectord.runs) for (const server of this.#lab.servers) await this.#make(server, 'well', '');
    await this.#changeServers(title);

    const answers: RecordedAction[] = [];
    if (title.startsWith('supervised: running')) await this.#startInForeground([], 'supervised=yes\n');
    for (const action of actions) answers.push(await this.#act(action, step, nextConfig));
    if (title.startsWith('-d: ')) {
      await this.#startInForeground(['-d'], '');
      const stopping = 2;
      await this.#untilCalls(before.calls, step.calls.length - stopping);
    }
    if (this.#foreground !== undefined && title.endsWith(': stopped')) {
      this.#foreground.kill('SIGTERM');
      await this.#foreground.exited;
      this.#foreground = undefined;
    }

    const look = () =>
      showPlayed(
        title,
        this.#ldirectord.calls().slice(before.calls),
        this.#ldirectord.log().slice(before.log),
        answers,
      );
    await this.#untilAs(recorded, look);
    if (answers.at(-1)?.action === 'stop') await this.#ldirectord.untilItEnded();
    return { title, recorded, played: { ...look(), table: (await this.#lab.adm('-L', '-n')).stdout } };
  }

  async #act(recorded: RecordedAction, step: RecordedStep, nextConfig: () => string): Promise<RecordedAction> {
    const { action } = recorded;
    const { runs } = this.#ldirectord;
    if (recorded.stderr.includes('stale pid file')) await this.#ldirectord.untilItEnded();
    if (action === 'start' && !runs) this.#ldirectord.write('ld.cf', nextConfig());
    if (action === 'reload' && runs) {
      // Asleep, it has seen the file as it is.
      await this.#ldirectord.untilItSleeps();
      const seen = this.#ldirectord.log().length;
      this.#ldirectord.write('ld.cf', nextConfig());
      const notice = ' - ignore new configuration';
      if (step.log.includes(notice)) {
        await waitFor('ldirectord to see its new file', 30, () =>
          this.#ldirectord.log().slice(seen).includes(notice),
        );
      }
    }
    const { code, stdout, stderr } = await this.#ldirectord.run(file, action);
    return { action, rc: code ?? -1, stdout, stderr };
  }

  async #startInForeground(options: readonly string[], more: string): Promise<void> {
    this.#ldirectord.write('ld.cf', inForeground + more);
    this.#foreground = this.#ldirectord.start(...options, file, 'start');
  }

  /** Waits until what `look` sees is as recorded, or it is clear that it will not be. */
  async #untilAs(recorded: Shown, look: () => Omit<Shown, 'table'>): Promise<void> {
    const { table: _, ...wanted } = recorded;
    const nothing = wanted.reads.every((count) => count === 0) && wanted.log.length === 0;
    if (nothing && this.#ldirectord.runs) await this.#ldirectord.untilItHasChecked();
    const deadline = performance.now() + limit * 1000;
    await waitFor(
      'the step',
      limit + 1,
      () => JSON.stringify(look()) === JSON.stringify(wanted) || performance.now() > deadline,
    );
  }

  async #untilCalls(before: number, count: number): Promise<void> {
    await waitFor(`${count} commands`, limit, () => {
      return this.#ldirectord.calls().slice(before).filter((call) => !isRead(call)).length >= count;
    });
  }

  /** What the title says of real servers becomes true, of all of them between the same two checks. */
  async #changeServers(title: string): Promise<void> {
    const changes = [...serversIn(title)].flatMap(([name, condition]) => {
      const server = this.#lab.servers.find((server) => server.name === name);
      return server === undefined ? [] : [{ server, condition }];
    });
    if (changes.length === 0) return;
    const change = async () => {
      await Promise.all(changes.map(({ server, condition }) => this.#make(server, condition, title)));
    };
    if (this.#ldirectord.runs) await this.#ldirectord.whileItSleeps(change);
    else await change();
    if (!changes.some(({ condition }) => condition === 'blinks')) return;
    const seen = this.#ldirectord.log().length;
    await waitFor('two failures', limit, () => this.#ldirectord.log().slice(seen).includes('failure 2/3'));
    await this.#ldirectord.whileItSleeps(async () => {
      await Promise.all(changes.map(({ server }) => this.#make(server, 'well', title)));
    });
  }

  async #make(server: WebServer, condition: Condition, title: string): Promise<void> {
    const previous = this.#conditions.get(server) ?? 'well';
    this.#conditions.set(server, condition);
    if (previous === condition) return;
    const ill = `ill.${server.address}`;
    if (condition === 'well') rmSync(this.#ldirectord.path(ill), { force: true });
    else this.#ldirectord.write(ill, '');
    if (previous === 'hangs') server.resume();
    if (previous === 'down' || previous === 'blinks') await server.start();
    switch (condition) {
      case 'well':
        return void server.write('index.html', 'Test Page\n');
      case 'ill':
        return void (title.includes('404') ? server.remove('index.html') : server.write('index.html', 'Other\n'));
      case 'hangs':
        return void server.hang();
      case 'down':
      case 'blinks':
        return server.kill();
    }
  }
}
