/** The thread behind a {@link PacketFilterClient}. */
import type { MessagePort } from 'node:worker_threads';
import { workerData } from 'node:worker_threads';
import type { KernelGuard, KernelGuardOptions } from './kernel-guard.ts';
import { openKernelGuard } from './kernel-guard.ts';
import type { Answer, Notice, Question } from './packet-filter-client.ts';
import { PacketFilterReader } from './packet-filter-text.ts';

const { port, options } = workerData as { readonly port: MessagePort; readonly options: KernelGuardOptions };

function answer(id: number, work: Promise<unknown>, done?: Int32Array): void {
  work
    .then(
      (result): Answer => ({ id, result }),
      (error: unknown): Answer => ({ id, error: (error as Error).message }),
    )
    .then((message) => {
      port.postMessage(message);
      if (done === undefined) return;
      Atomics.store(done, 0, 1);
      Atomics.notify(done, 0);
    }, fail);
}

/** Rejections of the guard were answered; what is left is our own fault. */
function fail(error: unknown): void {
  throw error;
}

const reader = new PacketFilterReader();

function perform(guard: KernelGuard, { call, argument }: Question): Promise<unknown> {
  switch (call) {
    case 'readPacketFilter':
      return reader.read(argument as boolean);
    case 'apply':
    case 'restore':
    case 'remove':
    case 'counters':
      return guard[call]();
  }
}

const opened = openKernelGuard(options);
answer(
  0,
  opened.then(({ means }) => means),
);
port.on('message', (message: Question | Notice) => {
  if ('change' in message) {
    const { change } = message;
    opened.then(
      (guard) => {
        guard.change(change);
      },
      // why it could not be opened was answered
      () => undefined,
    );
    return;
  }
  const { id, done } = message;
  answer(
    id,
    opened.then((guard) => perform(guard, message)),
    done,
  );
});
