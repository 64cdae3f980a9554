import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { scenario } from './scenario.ts';
import { waitFor, type Program } from './lab.ts';

scenario('a reload drops none of ten thousand idle connections', async (t, lab) => {
  const reals = (weight: number) => lab.servers.map(({ endpoint }) => `real=${endpoint} masq ${weight}`);
  const config = lab.writeConfig(lab.usualConfig(reals(1)));
  const directord = await lab.startDirectord(config, 'start');
  await lab.untilPool(lab.servers, 10);

  // A client takes one descriptor, a relayed connection two, and each forwarding thread may have its own so many.
  const spare = lab.openFiles - 500;
  const count = Math.min(10_000, spare, Math.floor((spare * availableParallelism()) / 2));
  const clients = lab.helper(lab.client, 'idle-clients', lab.vip, lab.port, count);
  t.same(await nextReport(clients, 1, 30), { open: count, refused: 0 }, `${count} connections open`);
  t.equal(await active(), count, 'the listing counts them all');

  writeFileSync(config, lab.usualConfig(reals(5)));
  t.equal((await lab.directord(config, 'reload')).code, 0, 'reload');
  await waitFor('the new weight', 5, async () => {
    const [service] = await lab.services();
    return service?.destinations.length === 3 && service.destinations.every(({ weight }) => weight === 5);
  });
  t.equal(await active(), count, 'the listing still counts them all');

  writeFileSync(config, 'virtual=nonsense\n');
  t.equal((await lab.directord(config, 'reload')).code, 2, 'a broken file is refused');
  directord.kill('SIGHUP');
  await waitFor('the daemon to complain', 5, () => /reading file \S+ at line 1/.test(lab.log()));
  t.equal((await lab.pool()).length, 3, 'and changes nothing');

  clients.write('ask\n');
  t.same(await nextReport(clients, 2, 30), { answered: count, closed: 0 }, 'every one of them still works');
  clients.end();

  async function active(): Promise<number> {
    const [service] = await lab.services();
    return (service?.destinations ?? []).reduce((sum, destination) => sum + destination.active, 0);
  }
});

async function nextReport(program: Program, number: number, seconds: number): Promise<unknown> {
  const line = await waitFor(
    `report ${number} of the clients`,
    seconds,
    () => program.lines()[number - 1],
    () => program.stderr,
  );
  return JSON.parse(line);
}
