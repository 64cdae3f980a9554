/** FreeRADIUS for the radius check: one client, this host, whose requests must prove that they are genuine; and some users. */
import { waitFor } from '../../support/until.ts';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

export const secret = 'testing 123';
/** As long as a password may be. */
export const longPassword = 'p'.repeat(128);

export async function startRadiusServer(place: Place): Promise<number> {
  const port = await place.freePort();
  place.write('radiusd.conf', configuration(place.directory, port));
  place.write('users', users);
  const program = place.start([which('freeradius') ?? '', '-f', '-l', 'stdout', '-d', place.directory]);
  await waitFor('FreeRADIUS to be ready', 30, () => {
    if (program.finished !== undefined)
      throw new Error(`FreeRADIUS ended: ${program.stdout}${program.stderr}`);
    return program.stdout.includes('Ready to process requests');
  });
  return port;
}

/** `FreeRADIUS 3.2.1` */
export async function radiusServerVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([which('freeradius') ?? '', '-v']);
  return stdout.replace(/.*?(FreeRADIUS) Version ([\d.]+).*/s, '$1 $2');
}

const users = `joe Cleartext-Password := "pass word"
  Reply-Message := "Hello Joe"
long Cleartext-Password := "${longPassword}"
stepwise Auth-Type := Accept, Response-Packet-Type := Access-Challenge
  Reply-Message := "And the number in your app?"
DEFAULT Auth-Type := Reject
  Reply-Message := "Who are you?"
`;

function configuration(directory: string, port: number): string {
  const genuine = `secret = "${secret}"
  require_message_authenticator = yes`;
  return `raddbdir = ${directory}
libdir = /usr/lib/freeradius
logdir = ${directory}
run_dir = ${directory}
log {
  destination = stdout
}
security {
  reject_delay = 0
}
client v4 {
  ipaddr = 127.0.0.1
  ${genuine}
}
client v6 {
  ipv6addr = ::1
  ${genuine}
}
modules {
  files {
    usersfile = ${directory}/users
  }
  pap {
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${port}
  }
  listen {
    type = auth
    ipv6addr = ::1
    port = ${port}
  }
  authorize {
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }
}
`;
}
