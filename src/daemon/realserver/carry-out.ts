/**
 * Does the steps of a plan, or takes them back. Every command is shown before it runs; what was changed is recorded
 * first, so that it can be taken back even when this process dies in between.
 */
import type { Streams } from '../../cli/directord.ts';
import type { ToolResult } from '../../platform/run-tool.ts';
import type { Step } from './step.ts';
import type { UndoRecord } from './undo-record.ts';

type Outcome = Pick<ToolResult, 'stdout' | 'stderr' | 'failure'>;

export interface Means {
  readonly streams: Streams;
  readonly record: UndoRecord;
  /** Runs a command line of the shell's. */
  readonly shell: (command: string) => Outcome;
}

/** Stops at the first step that fails, and undoes nothing by itself. @returns the exit code */
export function apply(steps: readonly Step[], { streams, record, shell }: Means): number {
  let did = 0;
  for (const { done, command, before, undo } of steps) {
    if (succeeds(shell(done))) {
      streams.out(`is so already: ${command}\n`);
      continue;
    }
    const was = before === undefined ? undefined : shell(before);
    record.add({ done, undo: undo(was && succeeds(was) ? was.stdout.trim() : undefined) });
    streams.out(`+ ${command}\n`);
    const result = shell(command);
    if (!succeeds(result)) {
      streams.err(`${failed(command, result)}\n`);
      streams.err(`${did} of ${steps.length} steps were done and stay; --remove takes them back\n`);
      return 1;
    }
    did += 1;
  }
  const all = did === steps.length ? 'all' : `${did} of ${steps.length}`;
  streams.out(did === 0 ? 'nothing had to be done\n' : `done: ${all} steps; --remove takes them back\n`);
  return 0;
}

/** The last step first. What fails stays recorded, and the rest is taken back all the same. @returns the exit code */
export function remove({ streams, record, shell }: Means): number {
  const recorded = record.read();
  if (recorded.length === 0) {
    streams.out(`nothing to remove: --apply has done nothing here that is still there (no ${record.path})\n`);
    return 0;
  }
  const left = recorded.toReversed().filter(({ done, undo }) => {
    if (!succeeds(shell(done))) {
      streams.out(`is gone already: ${undo}\n`);
      return false;
    }
    streams.out(`+ ${undo}\n`);
    const result = shell(undo);
    if (succeeds(result)) return false;
    streams.err(`${failed(undo, result)}\n`);
    return true;
  });
  record.keep(left.toReversed());
  if (left.length === 0) streams.out('removed\n');
  else
    streams.err(`${left.length} of ${recorded.length} steps could not be taken back; try --remove again\n`);
  return left.length === 0 ? 0 : 1;
}

function succeeds({ failure }: Outcome): boolean {
  return failure === undefined;
}

function failed(command: string, { stderr, failure }: Outcome): string {
  return `failed: ${command}\n${stderr.trim() || (failure ?? '')}`;
}
