import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './lab.ts';
import { scenario } from './scenario.ts';

scenario('monitorfile= has a line for each check, through a rotation and a full disk', async (t, lab) => {
  const file = join(lab.directory, 'shop.monitor');
  const broken = '/dev/full';
  const config = lab.writeConfig(
    `${lab.usualConfig(lab.servers.slice(0, 2).map((server) => `real=${server.endpoint} masq`))}    monitorfile="${file}"\n\n` +
      `virtual=${lab.vip}:81\n    real=10.2.0.11:80 masq\n    checktype=connect\n    monitorfile=${broken}\n`,
  );
  await lab.startDirectord(config, 'start');
  await lab.untilPool(lab.servers.slice(0, 2), 10);
  const lines = (): readonly string[] =>
    existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  await waitFor('six lines', 10, () => lines().length >= 6);
  for (const line of lines()) {
    t.match(
      line,
      /^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] \[\d+\] negotiate http tcp 10\.2\.0\.1[12] 80 1 masq \/test\.html OK \[up\] 200 OK$/,
    );
  }

  renameSync(file, `${file}.1`);
  lab.servers[0]?.remove('test.html');
  await waitFor('lines in the new file', 5, () =>
    lines().some((line) => line.endsWith(' 10.2.0.11 80 1 masq /test.html OK [down] 404 Not Found')),
  );
  t.equal(lab.log().split(`Error writing to monitorfile '${broken}'`).length - 1, 1, 'said once');
  t.match(await lab.pool(`TCP ${lab.vip}:81`), ['10.2.0.11:80'], 'and nothing else suffers');
});
