/** What `directord -v`, `-h` and a command line that is not understood print. */
import { readFileSync } from 'node:fs';

/** The ldirectord release whose behaviour we promise; tools look for it in the first line of `ldirectord -v`. */
export const ldirectordVersion = 'Linux Director v1.186-ha';

/** Our own version, from package.json two folders up (the same from `src` and from `dist`). */
export function directordVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version);
  }
  throw new Error('package.json of directord has no version');
}

export function versionText(program: string): string {
  const version = directordVersion();
  return program === 'ldirectord'
    ? `${ldirectordVersion}\nthis is directord ${version}, a compatible program in TypeScript\n`
    : `directord ${version} (compatible with ${ldirectordVersion})\n`;
}

export function usageText(program: string): string {
  return `Usage:
    ${program} [-d|--debug] [--] [configfile] start | stop | restart |
    try-restart | reload | force-reload | status | check

    ${program} [-f] [--engine ENGINE] [--control SOCKET] [configfile] start

    ${program} --no-monitor [--control SOCKET] start | stop | restart | status

    ${program} realserver [configfile] [--apply | --remove]
    [--via iptables|arp|ipip] [--as ADDRESS] [--vip ADDRESS]

    ${program} doctor [configfile] [--engine ENGINE] [--attach HOW]

    ${program} capture [INTERFACE...] [--every N] [--count N] [--after] [--ng]
    [--control SOCKET]

    ${program} simulate PROTO SRC:PORT VIP:PORT [--interface NAME]
    [--flags S|A|...] [--json] [--control SOCKET]

    ${program} [-h|-?|--help|-v|--version]

Options:
    configfile is looked for in /etc/ha.d, in /etc/ha.d/conf, then as it
    is given. Without it: ldirectord.cf.

    -d|--debug stay in the foreground and log to stderr; no pid file.

    -f|--foreground stay in the foreground, with pid file and log as
    configured.

    --engine relay|packet|ebpf|auto what forwards the traffic. auto: for root
    the first of ebpf and packet that can start, else relay.

    --attach auto|xdp|tc where the ebpf engine takes packets. auto: XDP on
    network cards, tc on every interface; doctor tells which, and why.

    --connections NUMBER how many the tables of the ebpf engine hold.

    --mss-clamp tunnels of the ebpf engine lower the largest segment that a
    client's SYN tells to what has room in them.

    --sysctl NAME=VALUE[,NAME=VALUE...] what net.ipv4.vs.NAME is to IPVS,
    for the packet and ebpf engines: conn_reuse_mode, ...

    --control SOCKET the socket that directoradm connects to.

    --no-monitor a director alone: no configfile, no health checks.

    -h|--help print the manual and exit. -v|--version print the version.

Actions:
    start runs the daemon, stop ends it, restart does both.

    try-restart restarts it only if it is running.

    reload, force-reload make it read configfile again.

    status tells whether it is running: exit code 0, or 3 when it is
    stopped, or 1 when it left a pid file behind; and how each real server
    is. --json: for programs.

    check reads configfile and prints what would be added: exit code 0,
    or 2 when there is an error in it. --probe: asks each real server once,
    too; 1 when one is down.

This host:
    realserver prints the commands that make it a real server of
    configfile; --apply runs them, --remove takes them back. --via says how
    it accepts virtual addresses, by default as the forwarding method asks.
    --as ADDRESS is for another host, --vip names an address behind a
    firewall mark. Exit code 2 when it is no real server there.

    doctor tells what would lose packets, and the command that mends it:
    exit code 0, or 1 when something does.

    capture writes packets that the ebpf engine gets on those interfaces,
    those of XDP too, as pcap to stdout: directord capture | tcpdump -n -r -
    --every N: one of N. --count N: so many. --after: as it leaves them.
    --ng: pcapng, with interfaces and verdicts.

    simulate tells what the ebpf engine would do with such a packet, which
    comes in by --interface, and changes nothing: exit code 0 when it would
    go on, else 1.

Environment:
    DIRECTORD_CONTROL the control socket, unless --control names it.

    DIRECTORD_RUN_DIR directory of the pid file, and of the log while no
    configfile names one. Without it root has /var/run, others
    $XDG_RUNTIME_DIR/directord or /tmp/directord-UID.

    DIRECTORD_LOG=json with -d or supervised=yes: log lines as JSON on
    stderr.
`;
}
