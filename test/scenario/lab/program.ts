/**
 * A program that the lab started: known by its pid and ended by it, at the latest when the lab is.
 */
import { spawn, type ChildProcess } from 'node:child_process';

export interface Finished {
  /** Exit status; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Program {
  readonly command: string;
  readonly exited: Promise<Finished>;
  #stdout = '';
  #stderr = '';
  #finished: Finished | undefined;
  readonly #child: ChildProcess;

  /** @param running where it is listed while it runs */
  constructor(argv: readonly string[], env: NodeJS.ProcessEnv, running: Set<Program>) {
    const [file = '', ...args] = argv;
    this.command = argv.join(' ');
    this.#child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this);
    this.#child.stdin?.on('error', () => {
      // The program went away without reading; its exit status tells the story.
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        running.delete(this);
        this.#finished ??= { code, signal, stdout: this.#stdout, stderr: this.#stderr };
        resolve(this.#finished);
      };
      this.#child.on('close', end);
      this.#child.on('error', (error) => {
        this.#stderr += `${error.message}\n`;
        end(127, null);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Undefined while it runs. */
  get finished(): Finished | undefined {
    return this.#finished;
  }

  /** Complete lines of standard output so far. */
  lines(): readonly string[] {
    return this.#stdout.split('\n').slice(0, -1);
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  end(input = ''): void {
    this.#child.stdin?.end(input);
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#finished === undefined) this.#child.kill(signal);
  }

  /** Asks it to end, and after 3 s makes it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    this.kill(signal);
    const timer = setTimeout(() => {
      this.kill('SIGKILL');
    }, 3000);
    const finished = await this.exited;
    clearTimeout(timer);
    return finished;
  }
}
