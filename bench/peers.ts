/** Starts peers: those that are installed here, each in a laboratory of its own. */
import { waitFor } from '../test/scenario/lab.ts';
import { which } from '../test/scenario/lab/paths.ts';
import { startDirectord, type Way } from './directord.ts';
import { startHaproxy } from './haproxy.ts';
import { startNftables, startRouting } from './kernel.ts';
import { hasStreamModule, startNginx } from './nginx-stream.ts';
import { ports, type Peer } from './peer.ts';
import { onlySwitch } from './switch.ts';

export interface PeerOptions {
  /** Of all network interfaces of the laboratories. */
  readonly offloads: 'on' | 'off';
  /** Whether each real server has a cable to the director, and no switch costs time; for ways by which replies come through it. */
  readonly cables?: true;
}

const starters = {
  haproxy: startHaproxy,
  nginx: startNginx,
  nftables: startNftables,
  routing: startRouting,
} as const;

export type PeerName = Way | keyof typeof starters;

const installed: Readonly<Partial<Record<PeerName, boolean>>> = {
  haproxy: which('haproxy') !== undefined,
  nginx: which('nginx') !== undefined && hasStreamModule,
  nftables: which('nft') !== undefined,
};

export async function startPeers(names: readonly PeerName[], options: PeerOptions): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  try {
    for (const name of names) {
      if (installed[name] === false) continue;
      const peer = await start(name, options);
      peers.push(peer);
      const { lab, program, address } = peer;
      onlySwitch(lab);
      await waitFor(
        `${peer.name} to forward`,
        10,
        async () => (await lab.curl(1, `http://${address}:${ports.web}/`))[0]?.startsWith('rs'),
        () => `${program?.stdout ?? ''}${program?.stderr ?? ''}`,
      );
    }
    return peers;
  } catch (error) {
    for (const { lab } of peers) await lab.close();
    throw error;
  }
}

function start(name: PeerName, options: PeerOptions): Promise<Peer> {
  return name in starters
    ? starters[name as keyof typeof starters](options)
    : startDirectord(name as Way, options);
}
