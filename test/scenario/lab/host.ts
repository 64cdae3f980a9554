/** A machine of the lab: somewhere to run programs, in a network namespace or, without root, here. */
import { Program, type Finished } from './program.ts';

export interface RunOptions {
  readonly input?: string;
  /** Seconds until it is killed. Default 30. */
  readonly timeout?: number;
}

/** What the machines of one lab share. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Put before every command, such as `prlimit` with its options. */
  readonly prefix: readonly string[];
  /** The programs that run now. */
  readonly running: Set<Program>;
}

export class Host {
  readonly name: string;
  /** Undefined: this machine itself. */
  readonly namespace: string | undefined;
  readonly #surroundings: Surroundings;

  constructor(name: string, namespace: string | undefined, surroundings: Surroundings) {
    this.name = name;
    this.namespace = namespace;
    this.#surroundings = surroundings;
  }

  /** Starts a program that stays. Its pid is the program's own: what is put before it replaces itself by it. */
  start(argv: readonly string[]): Program {
    const { env, prefix, running } = this.#surroundings;
    const enter = this.namespace === undefined ? [] : ['ip', 'netns', 'exec', this.namespace];
    // What tap adds to the environment of every child would slow down and change the programs under test.
    return new Program([...enter, ...prefix, 'env', '-u', 'NODE_OPTIONS', ...argv], env, running);
  }

  /** Runs a program to its end. A failing exit status is a result, not an exception. */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const program = this.start(argv);
    program.end(options.input);
    const timer = setTimeout(
      () => {
        program.kill('SIGKILL');
      },
      (options.timeout ?? 30) * 1000,
    );
    const finished = await program.exited;
    clearTimeout(timer);
    return finished;
  }
}
