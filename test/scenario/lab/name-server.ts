/**
 * BIND on a real server, with a zone `lab` of its own: `name.lab` tells in a TXT record who answers, `many.lab` has so
 * many that an answer needs several fragments.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../support/until.ts';
import { which } from './paths.ts';
import type { Program } from './program.ts';
import type { Lab, WebServer } from '../lab.ts';

/** TXT records of `many.lab`, of some 60 bytes each. */
export const manyRecords = 50;

/** Starts it; resolves when it answers. */
export async function startNameServer(lab: Lab, { name, host, address }: WebServer): Promise<Program> {
  const named = which('named');
  if (named === undefined) throw new Error('named is missing: make deps');
  const directory = join(lab.directory, `${name}-named`);
  mkdirSync(directory);
  // AppArmor confines the program at its usual place to files in /etc/bind and /var/cache/bind.
  const program = join(directory, 'named');
  copyFileSync(named, program);
  writeFileSync(join(directory, 'named.conf'), configuration(directory));
  writeFileSync(join(directory, 'lab.zone'), zone(name));
  const started = host.start([program, '-g', '-n', '1', '-c', join(directory, 'named.conf')]);
  await waitFor(
    `named to answer on ${name}`,
    15,
    async () => {
      if (started.finished !== undefined) throw new Error(`named ended: ${started.finished.stderr}`);
      const { stdout } = await host.run([
        'dig',
        `@${address}`,
        '+short',
        '+time=1',
        '+tries=1',
        'name.lab',
        'TXT',
      ]);
      return stdout === `"${name}"\n`;
    },
    () => started.stderr,
  );
  return started;
}

function configuration(directory: string): string {
  return `
options {
  directory "${directory}";
  pid-file none;
  session-keyfile none;
  listen-on { any; };
  listen-on-v6 { any; };
  recursion no;
  dnssec-validation no;
  edns-udp-size 4096;
  max-udp-size 4096;
};
controls { };
zone "lab" { type master; file "${directory}/lab.zone"; };
`;
}

function zone(name: string): string {
  const many = Array.from({ length: manyRecords }, (_, i) => `many TXT "record ${i} ${'.'.repeat(40)}"`);
  return `$TTL 60
@ SOA ${name} root 1 3600 600 86400 60
@ NS ${name}
${name} A 127.0.0.1
name TXT "${name}"
${many.join('\n')}
`;
}
