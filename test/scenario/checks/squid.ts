/** A Squid of its own in one process: nothing cached on disk, and one name that it forbids. */
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

/** @returns its port */
export async function startSquid(place: Place): Promise<number> {
  const port = await place.freePort();
  const directory = place.path('squid');
  const file = place.write(
    'squid/squid.conf',
    `http_port 127.0.0.1:${port}
http_port [::1]:${port}
acl forbidden dstdomain forbidden.example.com
http_access deny forbidden
http_access allow localhost
http_access deny all
access_log none
cache_log ${directory}/cache.log
pid_filename ${directory}/pid
coredump_dir ${directory}
cache_mem 8 MB
pinger_enable off
shutdown_lifetime 0 seconds
visible_hostname proxy.example.com
`,
  );
  await place.run(['chown', '-R', 'proxy', directory]);
  // a name of its own, because what its processes share is named after it
  await place.serve([which('squid') ?? '', '-N', '-n', `check${port}`, '-f', file], port);
  return port;
}
