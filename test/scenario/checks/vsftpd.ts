/** A vsftpd of its own, on 127.0.0.1 and ::1: anonymous logins with one password, and one file. */
import { mkdirSync } from 'node:fs';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

export const ftpPassword = 'open sesame';

export async function startVsftpd(place: Place): Promise<number> {
  const port = await place.freePort();
  place.write('files/welcome.msg', 'all is well here\n');
  mkdirSync(place.path('empty'));
  const passwords = place.write('passwords', `${ftpPassword}\n`);
  const common = `background=NO
listen_port=${port}
anonymous_enable=YES
secure_email_list_enable=YES
email_password_file=${passwords}
anon_root=${place.path('files')}
secure_chroot_dir=${place.path('empty')}
connect_from_port_20=NO
xferlog_enable=NO
ftpd_banner=files for everybody
`;
  const v4 = place.write('vsftpd-4.conf', `${common}listen=YES\nlisten_address=127.0.0.1\n`);
  const v6 = place.write('vsftpd-6.conf', `${common}listen=NO\nlisten_ipv6=YES\nlisten_address6=::1\n`);
  const program = which('vsftpd') ?? '';
  await place.serve([program, v4], port);
  await place.serve([program, v6], port);
  return port;
}
