/** A Postfix of its own: configuration, queue and data below the place, and two ports, one of which turns everybody away. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

export interface Postfix {
  readonly good: number;
  readonly wrong: number;
  readonly log: string;
}

export async function startPostfix(place: Place): Promise<Postfix> {
  const good = await place.freePort();
  const wrong = await place.freePort();
  const [log, queue, data] = [place.path('postfix.log'), place.path('queue'), place.path('data')];
  const theirs = [data, join(queue, 'private'), join(queue, 'public')];
  for (const directory of [...theirs, join(queue, 'pid')]) mkdirSync(directory, { recursive: true });
  await place.run(['chown', 'postfix', ...theirs]);
  const rejecting = '-o smtpd_delay_reject=no -o smtpd_client_restrictions=reject';
  const file = place.write(
    'postfix/master.cf',
    `127.0.0.1:${good} inet n - n - - smtpd
[::1]:${good} inet n - n - - smtpd
127.0.0.1:${wrong} inet n - n - - smtpd ${rejecting}
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
`,
  );
  place.write(
    'postfix/main.cf',
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
maillog_file = ${log}
maillog_file_prefixes = ${place.directory}
myhostname = mx.example.com
mydestination =
alias_maps =
local_recipient_maps =
inet_protocols = all
`,
  );
  // it ends what it has started by its process group, so it needs one
  const { stdout } = await place.run([which('postconf') ?? '', '-d', '-h', 'daemon_directory']);
  const master = join(stdout.trim(), 'master');
  await place.serve(['setsid', master, '-d', '-c', join(file, '..')], good);
  return { good, wrong, log };
}
