/** BIND for the dns check: `lab.example`, the reverse zones of its addresses, and a zone that cannot be loaded. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

export async function startNameServer(place: Place): Promise<number> {
  const port = await place.freePort();
  // AppArmor confines the program at its usual place to files in /etc/bind and /var/cache/bind.
  const program = join(place.directory, 'named');
  copyFileSync(which('named') ?? '', program);
  const zones = Object.entries(records).map(([name, lines]) => {
    const file = place.write(`${name}.zone`, [...authority, ...lines, ''].join('\n'));
    return `zone "${name}" { type master; file "${file}"; };`;
  });
  const file = place.write(
    'named.conf',
    `options {
  directory "${place.directory}";
  pid-file none;
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 port ${port} { ::1; };
  recursion no;
  dnssec-validation no;
};
controls { };
${zones.join('\n')}
zone "broken.example" { type master; file "${place.directory}/none"; };
`,
  );
  await place.serve([program, '-g', '-n', '1', '-c', file], port);
  return port;
}

/** `BIND 9.18.49` */
export async function nameServerVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([which('named') ?? '', '-v']);
  return stdout.replace(/-.*\n/s, '');
}

const authority = [
  '$TTL 60',
  '@ SOA ns.lab.example. root.lab.example. 1 3600 600 86400 60',
  '@ NS ns.lab.example.',
];

const records: Readonly<Record<string, readonly string[]>> = {
  'lab.example': [
    'ns A 127.0.0.1',
    'www A 192.0.2.77',
    'www AAAA 2001:db8::77',
    'six AAAA 2001:db8::6',
    'alias CNAME www',
    'mail MX 10 www',
    // too many for an answer of 512 bytes
    ...Array.from({ length: 60 }, (_, i) => `many A 192.0.2.${i + 1}`),
  ],
  '2.0.192.in-addr.arpa': ['77 PTR www.lab.example.'],
  '8.b.d.0.1.0.0.2.ip6.arpa': ['7.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR www.lab.example.'],
};
