import { manyRecords, startNameServer } from './lab/name-server.ts';
import type { Lab } from './lab.ts';
import type { scenario } from './scenario.ts';
import { packetScenario } from './scenario.ts';

/** Who answered, for each question in turn; every one from another port. */
async function ask(lab: Lab, address: string, count: number): Promise<readonly string[]> {
  const question = ['name.lab', 'TXT'];
  const { stdout } = await lab.client.run([
    ...['dig', `@${address}`, '+short', '+time=2', '+tries=1'],
    ...Array.from({ length: count }, () => question).flat(),
  ]);
  return stdout.trim().split('\n');
}

for (const routing of ['nat', 'direct', 'tunnel'] as const) {
  const body: Parameters<typeof scenario>[1] = async (t, lab) => {
    const [one, two] = lab.servers;
    if (one === undefined || two === undefined) throw new Error('too few servers');
    await Promise.all([startNameServer(lab, one), startNameServer(lab, two)]);
    const option = { masq: '-m', gate: '-g', ipip: '-i' }[lab.forwarding];
    const rules = [
      `-A -u ${lab.vip}:53 -s rr`,
      `-A -u [${lab.vip6}]:53 -s rr`,
      ...[two, one].flatMap(({ address, address6 }) => [
        `-a -u ${lab.vip}:53 -r ${address}:53 ${option}`,
        `-a -u [${lab.vip6}]:53 -r [${address6 ?? ''}]:53 ${option}`,
      ]),
    ];
    const directord = await lab.startDirectord('--debug', '--no-monitor', 'start');
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });

    for (const address of [lab.vip, lab.vip6]) {
      const answers = await ask(lab, address, 6);
      const [first = '', second = ''] = answers;
      t.same([first, second].toSorted(), ['"rs1"', '"rs2"'], `${address}: both servers answer`);
      t.same(answers, [first, second, first, second, first, second], 'in turn');

      const large = await lab.client.run([
        'dig',
        `@${address}`,
        '+bufsize=4096',
        '+ignore',
        '+time=2',
        '+tries=1',
        'many.lab',
        'TXT',
      ]);
      t.equal(large.stdout.match(/"record \d+ /g)?.length, manyRecords, 'a large answer arrives whole');
      const size = Number(/MSG SIZE +rcvd: (\d+)/.exec(large.stdout)?.[1]);
      t.ok(size > 2 * 1500, `in several fragments: it has ${size} bytes`);
      t.match(large.stdout, new RegExp(`SERVER: ${address}#53\\(.*\\(UDP\\)`), 'by UDP, from the VIP');
    }
    const samePort = [
      'dig',
      '-b',
      '0.0.0.0#40053',
      `@${lab.vip}`,
      '+short',
      '+time=2',
      '+tries=1',
      'name.lab',
      'TXT',
    ];
    const again = [];
    for (let i = 0; i < 3; i += 1) again.push((await lab.client.run(samePort)).stdout);
    t.same(new Set(again).size, 1, 'questions from one port are one flow');
    t.notMatch(directord.stderr, /lost|dropped|could not be sent/);
  };
  packetScenario(`DNS by ${routing}`, body, { routing });
}
