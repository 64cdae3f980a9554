/** `--mss-clamp`: what a SYN says of the largest segment becomes what has room in the tunnel, with XDP and with tc alone. */
import t from 'tap';
import { noObject } from '../../support/ebpf-director-supply.ts';
import { skip } from '../../support/ebpf-place.ts';
import { EbpfStories } from '../../support/ebpf-story-subject.ts';
import type { PacketText } from '../../support/packet-text.ts';
import { beginning, tell } from '../../support/story-runner.ts';
import type { Step, Story } from '../../support/story.ts';

interface Hosts {
  readonly client: string;
  readonly vip: string;
  readonly director: string;
  readonly server: string;
}

const hosts: Readonly<Record<4 | 6, Hosts>> = {
  4: { client: '10.1.0.2', vip: '10.1.0.100', director: '10.2.0.1', server: '10.2.0.11' },
  6: { client: '2001:db8:1::2', vip: '2001:db8:1::100', director: '2001:db8:2::1', server: '2001:db8:2::11' },
};

let port = 50000;

/** A SYN with these options, and how it leaves. */
function syn(inner: 4 | 6, outer: 4 | 6, before: string | undefined, after = before): Step {
  const { client, vip } = hosts[inner];
  const { director, server } = hosts[outer];
  const sport = ++port;
  const packet = (options: string | undefined, ttl?: number): PacketText => ({
    src: client,
    dst: vip,
    ...(ttl !== undefined && { ttl }),
    tcp: { sport, dport: 80, flags: 'S', seq: 1000, ...(options !== undefined && { options }) },
  });
  const wrapped = { src: director, dst: server, ttl: 63, ipip: packet(after, 63) };
  // nothing inside asks an outer IPv4 header for it
  const outside = inner === 6 && outer === 4 ? { ...wrapped, df: false, id: 'any' as const } : wrapped;
  return {
    in: { side: 'client', packet: packet(before) },
    out: [{ to: 'rs1', packet: outside }],
  };
}

function mss(size: number): string {
  return `0204${size.toString(16).padStart(4, '0')}`;
}

function story(name: string, inner: 4 | 6, outer: 4 | 6, steps: readonly Step[], mssClamp = true): Story {
  const vip = inner === 4 ? hosts[4].vip : `[${hosts[6].vip}]`;
  const server = outer === 4 ? hosts[4].server : `[${hosts[6].server}]`;
  const table = [`-A -t ${vip}:80 -s rr`, `-a -t ${vip}:80 -r ${server}:80 -i`];
  return { name, about: '', source: '', table, steps, mssClamp };
}

const stories: readonly Story[] = [
  ...([4, 6] as const).flatMap((inner) =>
    ([4, 6] as const).map((outer) => {
      const most = 1500 - (outer === 4 ? 20 : 40) - (inner === 4 ? 40 : 60);
      const clamped = (before: string, after = before) => syn(inner, outer, before, after);
      return story(`IPv${inner} in IPv${outer}`, inner, outer, [
        clamped(mss(1460), mss(most)),
        clamped(mss(9000), mss(most)),
        clamped(mss(most), mss(most)),
        clamped(mss(most + 1), mss(most)),
        clamped(mss(536), mss(536)),
        syn(inner, outer, undefined),
        // behind others, at an odd place, at the end
        clamped(
          `0402080a0000000100000000${mss(1460)}01030307`,
          `0402080a0000000100000000${mss(most)}01030307`,
        ),
        clamped(`01${mss(1460)}010101`, `01${mss(most)}010101`),
        clamped(`010101${mss(1460)}01`, `010101${mss(most)}01`),
        clamped(`01010101${mss(1460)}`, `01010101${mss(most)}`),
        // none of them is an option of that kind
        clamped('0402010103030700'),
        clamped('00020405b4000000'),
        clamped('0203050101010000'),
        clamped('01010204'),
        clamped('fd00020405b40000'),
      ]);
    }),
  ),
  story('not asked for', 4, 4, [syn(4, 4, mss(1460))], false),
  { ...story('a narrow way', 4, 4, [syn(4, 4, mss(1460), mss(1280 - 60))]), mtu: 1280 },
];

t.test('SYNs through tunnels', { skip: skip || noObject }, async (t) => {
  const told = new EbpfStories();
  t.teardown(() => {
    told.close();
  });
  for (const kind of ['xdp', 'tc'] as const) {
    for (const story of stories) {
      await t.test(`${kind} ${story.name}`, async (t) => {
        const subject = await told.subject(story, kind, beginning);
        for (const { title, wanted, found } of await tell(story, subject)) t.strictSame(found, wanted, title);
      });
    }
  }
});
