/** One question to the daemon on a control socket. */
import { ControlClient } from '../control/client.ts';
import type { Health } from '../control/protocol.ts';

/** Milliseconds that a daemon may take to answer; one that hangs must not hold up whoever asks for its status. */
const patience = 3000;

/** @throws ControlUnavailable, or an error with a message for people when it does not answer in time */
export async function askHealth(socket: string): Promise<Health> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer on ${socket} within ${patience / 1000} seconds`));
    }, patience);
  });
  const asked = ask(socket);
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
    // an answer that comes too late, or fails then, is nobody's
    asked.catch(() => undefined);
  }
}

async function ask(socket: string): Promise<Health> {
  const client = await ControlClient.connect(socket);
  try {
    return await client.health();
  } finally {
    client.close();
  }
}
