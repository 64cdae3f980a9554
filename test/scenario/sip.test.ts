import { waitFor } from './lab.ts';
import { packetScenario } from './scenario.ts';

const invite = (callId: string) => `INVITE sip:b@y SIP/2.0\r\nCall-ID: ${callId}\r\n\r\n`;

const listed = `IPVS connection entries
pro expire state       source             virtual            destination        pe name          pe_data
UDP 00:59  ASSURED     10.1.0.2:0         10.1.0.100:5060    10.2.0.11:5060   sip                bbb@x
UDP 00:59  ASSURED     10.1.0.2:0         10.1.0.100:5060    10.2.0.12:5060   sip                aaa@x
`;

packetScenario(
  'a SIP call stays with its server, whose answers come from the virtual address',
  async (t, lab) => {
    const servers = lab.servers.slice(0, 2);
    const echoes = servers.map((s) => lab.helper(s.host, 'udp-echo', s.address, 5060, s.name));
    await waitFor('the servers', 10, () => echoes.every((echo) => echo.lines()[0] === 'ready'));
    await lab.startDirectord('--no-monitor', 'start');
    const service = `-u ${lab.vip}:5060`;
    const rules = [
      `-A ${service} -s rr -p 60 --pe sip -o`,
      ...servers.map(({ address }) => `-a ${service} -r ${address}:5060 -m`),
    ];
    t.match(await lab.admInput(`${rules.join('\n')}\n`, '-R'), { code: 0, stderr: '' });

    const calls = ['aaa@x', 'aaa@x', 'bbb@x', 'aaa@x', 'bbb@x'];
    const { stdout } = await lab.helper(lab.client, 'udp-ask', lab.vip, 5060, ...calls.map(invite)).exited;
    const answers = stdout.trim().split('\n');
    t.same(
      answers.map((line) => (JSON.parse(line) as { text?: string }).text?.slice(0, 3)),
      ['rs2', 'rs2', 'rs1', 'rs2', 'rs1'],
      'each call has its server',
    );
    const strangers = answers.filter((line) => !line.endsWith(`"from":"${lab.vip}","port":5060}`));
    t.same(strangers, [], 'the answers come from the virtual address');

    const { stdout: table } = await lab.adm('-L', '-n', '-c', '--persistent-conn');
    const [title, heading, ...rows] = table
      .replace(/ 00:5\d /g, ' 00:59 ')
      .trimEnd()
      .split('\n');
    t.equal(`${[title, heading, ...rows.sort()].join('\n')}\n`, listed, 'listed as ipvsadm lists them');

    const { stdout: ignored } = await lab.helper(lab.client, 'udp-ask', lab.vip, 5060, 'hello').exited;
    t.equal(ignored, '{"lost":true}\n', 'what is no call is dropped');
  },
);
