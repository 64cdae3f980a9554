/** Commands in the guest. */
import { execFileSync } from 'node:child_process';

/** Runs a script with bash, which ends at the first command that fails. @returns what it printed @throws with what it complained of */
export function sh(script: string): string {
  try {
    return execFileSync('bash', ['-ec', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    const [first = ''] = script.trim().split('\n');
    throw new Error(`${first} ...\n${(stdout ?? '').slice(-2000)}${(stderr ?? String(error)).slice(-4000)}`, {
      cause: error,
    });
  }
}

/** The same in a network namespace. */
export function shIn(namespace: string, script: string): string {
  return sh(`ip netns exec ${namespace} bash -e <<'...'\n${script}\n...`);
}
