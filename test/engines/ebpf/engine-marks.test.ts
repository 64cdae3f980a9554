/** The ebpf engine and the packet filter of its host: frames on a wire, with rules that iptables and nft have set. Needs root and clang. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ipipTunnel } from '../../../src/director/table.ts';
import type { FwmarkService } from '../../../src/director/table.ts';
import { createEbpf } from '../../../src/engines/ebpf/ebpf.ts';
import { openCapture } from '../../../src/platform/capture.ts';
import { enterOwnNetwork, ip, linkAddress, wire } from '../../platform/own-network.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { encode } from '../../support/packet-encode.ts';
import { roundRobin } from '../../support/table.ts';
import { until } from '../../support/until.ts';

const compiled = process.env['DIRECTORD_BPF_OBJECT'];
const object = compiled ?? join(t.testdir(), 'directord.bpf.o');
const marked: FwmarkService = { kind: 'fwmark', mark: 7, family: 'inet' };

void t.test('packets find the services of marks that the packet filter sets', { skip }, async (t) => {
  if (compiled === undefined)
    execFileSync(fileURLToPath(new URL('../../../packaging/compile-bpf', import.meta.url)), [object]);
  enterOwnNetwork();
  wire('front', 'client');
  wire('back', 'servers');
  ip('address add 10.1.0.1/24 dev front');
  ip('address add 10.2.0.1/24 dev back');
  // any address of this network is this host's
  ip('route add local 10.9.0.0/24 dev lo');
  ip('link set servers address 02:00:00:00:02:11');
  ip('neigh add 10.2.0.11 lladdr 02:00:00:00:02:11 dev back nud permanent');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  process.env['DIRECTORD_BPFFS'] = ownBpffs();
  const seen: string[] = [];
  const servers = openCapture(
    'servers',
    { ringBytes: 1 << 20 },
    {
      frame: (frame, length) => {
        if (length >= 38 && frame.readUInt16BE(12) === 0x0800)
          seen.push(`${frame.subarray(30, 34).join('.')}:${frame.readUInt16BE(36)}`);
      },
    },
  );
  // one instruction: all of it is taken
  servers.setFilter(Buffer.from('0600000000000400', 'hex'));
  const client = openCapture('client', { ringBytes: 1 << 20 }, { frame: () => undefined });
  const router = linkAddress('front');
  let sport = 5000;
  const send = (dst: string, dport: number): void => {
    const packet = encode({ src: '10.1.0.2', dst, tcp: { sport: sport++, dport, flags: 'S' } });
    const frame = Buffer.concat([router, linkAddress('client'), Buffer.from('0800', 'hex'), packet]);
    client.send(frame, frame.length);
  };
  const problems: string[] = [];
  const engine = createEbpf(
    { info: () => undefined, problem: (message) => void problems.push(message) },
    { instance: 'default', attach: 'auto', connections: 4096, sysctls: [], object },
  );
  await engine.start();
  try {
    engine.apply({ verb: 'add-service', service: marked, settings: roundRobin });
    const settings = {
      forwarding: 'masq' as const,
      weight: 1,
      upperThreshold: 0,
      lowerThreshold: 0,
      tunnel: ipipTunnel,
    };
    engine.apply({
      verb: 'add-destination',
      service: marked,
      destination: { address: '10.2.0.11', port: 0 },
      settings,
    });
    await engine.settled();
    t.match(problems, [/^fwm:7 gets no packets: no rule gives them the mark/]);

    const rule = [
      '-d',
      '10.9.0.0/24',
      '-i',
      'front',
      '-p',
      'tcp',
      '--dport',
      '80',
      '-j',
      'MARK',
      '--set-mark',
      '7',
    ];
    execFileSync('iptables', ['-t', 'mangle', '-A', 'PREROUTING', ...rule]);
    await until(() => {
      send('10.9.0.5', 81);
      send('10.9.0.5', 80);
      return seen.length > 0;
    });
    t.same([...new Set(seen)], ['10.2.0.11:80']);

    execFileSync('iptables', ['-t', 'mangle', '-F']);
    execFileSync('nft', ['-f', '-'], {
      input: `table ip shop {
        chain first {
          type filter hook prerouting priority mangle;
          ip daddr 10.9.0.7 tcp dport 90 meta mark set 7
          ip daddr 10.2.0.99 meta mark set 7
        }
      }`,
    });
    await until(() => {
      send('10.9.0.7', 90);
      return seen.includes('10.2.0.11:90');
    });
    seen.length = 0;
    send('10.2.0.99', 91);
    await until(() => {
      send('10.9.0.7', 90);
      return seen.length > 0;
    });
    t.notOk(seen.includes('10.2.0.11:91'), 'what this host only routes is no business of a service');
    t.equal(problems.length, 1, problems.join('\n'));
    engine.apply({ verb: 'flush' });
  } finally {
    await engine.stop();
    servers.close();
    client.close();
  }
});
