/**
 * The knobs of IPVS (`net.ipv4.vs.*`) that change what happens to a packet, with the kernel's names and defaults. An operator sets
 * them as `directord --sysctl NAME=VALUE`.
 */
export interface VsSettings {
  /** A SYN from a port that an old entry still knows: 0 keep the entry, bit 0 reschedule after TIME_WAIT or CLOSE, bit 1 also FIN_WAIT of gate and ipip. */
  conn_reuse_mode: number;
  /** A packet for a deleted destination: 0 dropped, 1 its connection ends and the packet counts as new. */
  expire_nodest_conn: number;
  /** 1: clients of a quiescent destination lose it at their next connection. */
  expire_quiescent_template: number;
  /** 1: any TCP packet but RST may open a connection, not SYN alone. */
  sloppy_tcp: number;
  /** 1: tunnels copy DF and tell clients the smaller MTU; 0: they fragment. */
  pmtu_disc: number;
  /** 1: answer packets of real servers that belong to no connection with ICMP port unreachable. */
  nat_icmp_send: number;
  /** 0, or 3: the stricter TCP states against floods. */
  secure_tcp: number;
  /** 0, or 3: drop every `am_droprate`th new connection. */
  drop_packet: number;
  am_droprate: number;
}

export const defaultVsSettings: Readonly<VsSettings> = {
  conn_reuse_mode: 1,
  expire_nodest_conn: 0,
  expire_quiescent_template: 0,
  sloppy_tcp: 0,
  pmtu_disc: 1,
  nat_icmp_send: 0,
  secure_tcp: 0,
  drop_packet: 0,
  am_droprate: 10,
};

/**
 * Settings from words like `conn_reuse_mode=0` or `net.ipv4.vs.conn_reuse_mode=0`, separated by blanks.
 * @throws with a message for people: no such setting, or no number
 */
export function readVsSettings(words: string): VsSettings {
  const settings: VsSettings = { ...defaultVsSettings };
  for (const word of words.split(' ').filter((text) => text !== '')) {
    const [name = '', value = ''] = word.replace(/^net\.ipv4\.vs\./, '').split('=');
    if (!isName(name)) {
      throw new Error(
        `'${word}': there is no such setting; there are ${Object.keys(defaultVsSettings).join(', ')}`,
      );
    }
    if (!/^\d{1,9}$/.test(value))
      throw new Error(`'${word}': ${name} is a number, as in ${name}=${defaultVsSettings[name]}`);
    settings[name] = Number(value);
  }
  return settings;
}

function isName(name: string): name is keyof VsSettings {
  return Object.hasOwn(defaultVsSettings, name);
}
