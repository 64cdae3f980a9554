/**
 * The kernel guard and the packet filter's rules, by way of a thread: commands take milliseconds and need an event loop that turns, which
 * a forwarder's does not under load. Answers are fetched like a mailbox's messages.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { siblingModule } from '../util/sibling-module.ts';
import type { GuardChange, KernelGuard, KernelGuardOptions } from './kernel-guard.ts';
import type { PacketFilterText } from './packet-filter-text.ts';

export interface PacketFilterClient extends KernelGuard {
  /** @param known - what is as it was need not be told again @returns undefined when it is as it was */
  readPacketFilter(known: boolean): Promise<PacketFilterText | undefined>;
  /** Takes the answers that have come. */
  poll(): void;
}

export type Call = 'apply' | 'restore' | 'remove' | 'counters' | 'readPacketFilter';

/** To the thread. `done` is set to 1 and notified when the call is over. */
export interface Question {
  readonly id: number;
  readonly call: Call;
  readonly argument?: unknown;
  readonly done?: Int32Array;
}

/** To the thread too; it has no answer. */
export interface Notice {
  readonly change: GuardChange;
}

/** From the thread; that with id 0 says how the guard could be opened. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Milliseconds to wait for the rules to go when the process ends. */
const lastPatience = 3000;

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** @see openKernelGuard */
export async function openPacketFilter(options: KernelGuardOptions): Promise<PacketFilterClient> {
  const { port1: port, port2 } = new MessageChannel();
  const worker = new Worker(siblingModule(import.meta.url, 'packet-filter-thread'), {
    workerData: { port: port2, options },
    transferList: [port2],
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  const take = ({ id, result, error }: Answer): void => {
    const waiting = pending.get(id);
    pending.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  };
  port.on('message', take);
  worker.on('error', (error) => {
    for (const waiting of pending.values()) waiting.reject(error);
    pending.clear();
  });
  const wait = (id: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
    });
  const ask = (call: Call, argument?: unknown): Promise<unknown> => {
    const id = ++lastId;
    port.postMessage({ id, call, argument } satisfies Question);
    return wait(id);
  };
  const means = (await wait(0)) as KernelGuard['means'];
  return {
    means,
    change: (change) => {
      port.postMessage({ change } satisfies Notice);
    },
    apply: () => ask('apply') as Promise<void>,
    restore: () => ask('restore') as Promise<boolean>,
    remove: () => ask('remove') as Promise<void>,
    removeSync: () => {
      const done = new Int32Array(new SharedArrayBuffer(4));
      port.postMessage({ id: ++lastId, call: 'remove', done } satisfies Question);
      if (Atomics.wait(done, 0, 0, lastPatience) === 'timed-out')
        throw new Error('the rules that keep the kernel off the virtual services may still be there');
    },
    counters: () => ask('counters') as ReturnType<KernelGuard['counters']>,
    readPacketFilter: (known) => ask('readPacketFilter', known) as Promise<PacketFilterText | undefined>,
    poll: () => {
      for (;;) {
        const received = receiveMessageOnPort(port) as { message: Answer } | undefined;
        if (received === undefined) return;
        take(received.message);
      }
    },
  };
}
