"""
Runs inside User-Mode Linux: what the kernel's IPVS does with the packets of each script in asked.json.

Every script gets a director of its own: a network namespace with two interfaces (front and back), whose other ends are in
a second namespace where this program is every host there is: it sends the frames it is told to and notes each frame that
the director sends, by the host whose address the frame carries. A script is a list of steps; the answer is one result a step.
"""
import ctypes, fcntl, json, os, select, socket, struct, subprocess, sys, time, traceback

FRONT, BACK = '02:00:00:00:01:01', '02:00:00:00:02:01'
# Hosts by name: the director's interface towards it, its hardware address, its addresses.
HOSTS = {
    'client': ('front', '02:00:00:00:01:02', ['10.1.0.%d' % i for i in range(2, 10)] + ['2001:db8:1::%x' % i for i in range(2, 10)]),
    'gateway': ('front', '02:00:00:00:01:fe', ['10.1.0.254', '2001:db8:1::fe']),
    'rs1': ('back', '02:00:00:00:02:11', ['10.2.0.11', '2001:db8:2::11']),
    'rs2': ('back', '02:00:00:00:02:12', ['10.2.0.12', '2001:db8:2::12']),
    'rs3': ('back', '02:00:00:00:02:13', ['10.2.0.13', '2001:db8:2::13']),
}
# Nobody of the stories: it pings the director behind each packet, and its answer says that the packet has been dealt with.
PROBE = ('02:00:00:00:01:fa', '10.1.0.250')
BY_MAC = {mac.replace(':', ''): name for name, (_, mac, _) in HOSTS.items()}
SIDES = {'client': ('front', FRONT, 'client'), 'server': ('back', BACK, 'rs1')}
PROTOCOLS = {4: (1, 6, 17), 6: (58, 6, 17)}
MODULES = 'ip_vs veth xt_mark ip_tables ip6_tables iptable_mangle ip6table_mangle xt_tcpudp'.split() + [
    'ip_vs_' + name for name in 'rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh pe_sip'.split()]
# A script whose steps took longer than this besides its waits is run again: what it says of time would be wrong.
SLACK = 0.9

libc = ctypes.CDLL(None, use_errno=True)


def run(words, stdin=None):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


def must(words, stdin=None):
    code, out, err = run(words, stdin)
    if code:
        raise RuntimeError('%s: %s' % (' '.join(words), err))
    return out


def enter(namespace):
    handle = os.open('/run/netns/' + namespace, os.O_RDONLY)
    if libc.setns(handle, 0x40000000):
        raise OSError(ctypes.get_errno(), 'setns')
    os.close(handle)


def write(path, value):
    with open('/proc/sys/net/' + path, 'w') as file:
        file.write(str(value))


class Lab:
    """A director's namespace, this process in it, and the sockets of all its neighbours."""

    def __init__(self, number):
        self.probes = 0
        self.names = ['director%d' % number, 'hosts%d' % number]
        for name in self.names:
            must(['ip', 'netns', 'add', name])
        director, hosts = self.names
        enter(hosts)
        write('ipv6/conf/all/disable_ipv6', 1)
        write('ipv6/conf/default/disable_ipv6', 1)
        enter(director)
        for family in ('ipv4', 'ipv6'):
            for scope in ('all', 'default'):
                base = '%s/conf/%s/' % (family, scope)
                write(base + ('rp_filter' if family == 'ipv4' else 'accept_dad'), 0)
                write(base + ('send_redirects' if family == 'ipv4' else 'accept_ra'), 0)
        write('ipv4/ip_forward', 1)
        write('ipv6/conf/all/forwarding', 1)
        write('ipv4/icmp_ratelimit', 0)
        write('ipv6/icmp/ratelimit', 0)
        lines = ['link set lo up']
        for side, mac in (('front', FRONT), ('back', BACK)):
            lines += ['link add %s address %s type veth peer name %s netns %s' % (side, mac, side, hosts),
                      'link set %s up' % side]
        lines += ['addr add 10.1.0.1/24 dev front', 'addr add 2001:db8:1::1/64 dev front nodad',
                  'addr add 10.2.0.1/24 dev back', 'addr add 2001:db8:2::1/64 dev back nodad',
                  'addr add 10.1.0.100/32 dev lo', 'addr add 2001:db8:1::100/128 dev lo']
        for side, mac, addresses in HOSTS.values():
            lines += ['neigh add %s lladdr %s dev %s nud permanent' % (address, mac, side) for address in addresses]
        lines += ['neigh add %s lladdr %s dev front nud permanent' % (PROBE[1], PROBE[0])]
        lines += ['route add default via 10.1.0.254', 'route add default via 2001:db8:1::fe']
        must(['ip', '-batch', '-'], '\n'.join(lines) + '\n')
        enter(hosts)
        self.wires, self.checked = {}, {}
        for side in ('front', 'back'):
            must(['ip', 'link', 'set', side, 'arp', 'off', 'up'])
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            wire.bind((side, 3))
            self.wires[side] = wire
            checked = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            checked.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
            checked.bind((side, 0))
            self.checked[side] = checked
        enter(director)
        for side in ('front', 'back'):
            offloads_off(side)
        # Raw sockets are handed what the host's own stack gets, behind IPVS.
        self.local = {}
        for family, protocols in PROTOCOLS.items():
            for protocol in protocols:
                raw = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_RAW, protocol)
                if family == 6:
                    for option in (socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS):
                        raw.setsockopt(socket.IPPROTO_IPV6, option, 1)
                self.local[(family, protocol)] = raw
        time.sleep(0.05)
        self.drain()

    def send(self, side, packet):
        wire, mac, sender = SIDES[side]
        framed = frame(HOSTS[sender][1], packet, mac)
        if packet[0] >> 4 == 6 and packet[6] == 58 and checksum(pseudo(packet) + packet[40:]) == 0:
            # As from an interface that has verified the checksum: when the kernel's IPVS verifies that of ICMPv6 itself, it
            # leaves out the pseudo-header and drops every message.
            partial = checksum(pseudo(packet)) ^ 0xffff
            framed = framed[:56] + struct.pack('!H', partial) + framed[58:]
            self.checked[wire].send(struct.pack('=BBHHHH', 1, 0, 0, 0, 54, 2) + framed)
        else:
            self.wires[wire].send(framed)

    def drain(self):
        """All that the director sent and delivered to itself: [[host, packet]]. Packets are dealt with in their order."""
        self.probes += 1
        self.wires['front'].send(frame(PROBE[0], ping(self.probes)))
        seen = []
        sockets = {wire: None for wire in self.wires.values()}
        sockets.update({raw: key for key, raw in self.local.items()})
        answered, deadline = False, time.monotonic() + 5
        while not answered:
            ready = select.select(list(sockets), [], [], deadline - time.monotonic())[0]
            if not ready:
                raise RuntimeError('the director does not answer')
            while ready:
                for source in ready:
                    if sockets[source] is None:
                        data, address = source.recvfrom(65535)
                        if address[2] == socket.PACKET_OUTGOING:
                            continue
                        if data[:6].hex() == PROBE[0].replace(':', ''):
                            answered = answered or data[38:42] == struct.pack('!HH', 1, self.probes & 0xffff)
                        elif data[:6].hex() in BY_MAC:
                            seen.append([BY_MAC[data[:6].hex()], trim(data[14:]).hex()])
                    else:
                        packet = received(source, *sockets[source])
                        if packet and packet[12:16] != socket.inet_aton(PROBE[1]):
                            seen.append(['local', packet.hex()])
                ready = select.select(list(sockets), [], [], 0)[0]
        return seen

    def close(self):
        for wire in list(self.wires.values()) + list(self.checked.values()) + list(self.local.values()):
            wire.close()
        enter_host()
        for name in self.names:
            run(['ip', 'netns', 'del', name])


def enter_host():
    handle = os.open('/proc/1/ns/net', os.O_RDONLY)
    libc.setns(handle, 0x40000000)
    os.close(handle)


def offloads_off(interface):
    # struct ifreq with a pointer to struct ethtool_value: TX checksums, scatter-gather, TSO, GSO, GRO
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in (0x17, 0x19, 0x1f, 0x24, 0x2c):
            value = ctypes.create_string_buffer(struct.pack('II', command, 0))
            request = struct.pack('16sP', interface.encode(), ctypes.addressof(value)) + bytes(16)
            fcntl.ioctl(any_socket, 0x8946, request)


def frame(source, packet, to=FRONT):
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86dd
    return bytes.fromhex((to + source).replace(':', '')) + struct.pack('!H', kind) + packet


def ping(number):
    echo = struct.pack('!BBHHH', 8, 0, 0, 1, number & 0xffff)
    echo = echo[:2] + struct.pack('!H', checksum(echo)) + echo[4:]
    header = struct.pack('!BBHHHBBH', 0x45, 0, 28, 0, 0x4000, 64, 1, 0) + socket.inet_aton(PROBE[1]) + socket.inet_aton('10.1.0.1')
    return header[:10] + struct.pack('!H', checksum(header)) + header[12:] + echo


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo(packet):
    return packet[8:40] + struct.pack('!II', len(packet) - 40, packet[6])


def trim(packet):
    length = struct.unpack_from('!H', packet, 2)[0] if packet[0] >> 4 == 4 else 40 + struct.unpack_from('!H', packet, 4)[0]
    return packet[:length]


def received(raw, family, protocol):
    """What a raw socket got, as a whole IP packet; the header of an IPv6 packet is put together again."""
    data, ancillary, _, address = raw.recvmsg(65535, 512)
    if family == 4:
        return data
    values = {kind: value for level, kind, value in ancillary if level == socket.IPPROTO_IPV6}
    destination = values[socket.IPV6_PKTINFO][:16]
    if destination[0] == 0xff:
        return None
    hops = struct.unpack('i', values[socket.IPV6_HOPLIMIT])[0]
    tclass = struct.unpack('i', values[socket.IPV6_TCLASS])[0]
    source = socket.inet_pton(socket.AF_INET6, address[0])
    if source[:2] == b'\xfe\x80':
        return None
    packet = struct.pack('!IHBB', 6 << 28 | tclass << 20, len(data), protocol, hops) + source + destination + data
    if protocol == 58 and checksum(pseudo(packet)) ^ 0xffff == struct.unpack_from('!H', packet, 42)[0]:
        # What send() left to the interface.
        blank = packet[:42] + bytes(2) + packet[44:]
        return packet[:42] + struct.pack('!H', checksum(pseudo(packet) + blank[40:])) + packet[44:]
    return packet


def step(lab, asked):
    kind, value = next(iter(asked.items()))
    if kind == 'in':
        lab.send(value['side'], bytes.fromhex(value['packet']))
        return lab.drain()
    if kind == 'ipvsadm':
        code, _, err = run(['ipvsadm'] + value.split())
        return err if code else ''
    if kind == 'sysctl':
        for name, number in value.items():
            write('ipv4/vs/' + name, number)
        return ''
    if kind == 'wait':
        time.sleep(value)
        return lab.drain()
    if kind == 'connections':
        time.sleep(0.03)
        with open('/proc/thread-self/net/ip_vs_conn') as file:
            return file.read().splitlines()[1:]
    if kind == 'listing':
        return must(['ipvsadm', '-L', '-n'] + value.split()).splitlines()
    if kind == 'run':
        return must(['/bin/sh', '-c', value])
    raise RuntimeError('no step ' + kind)


def play(number, script):
    lab = Lab(number)
    try:
        for asked in script['before']:
            step(lab, asked)
        lab.drain()
        start = time.monotonic()
        results, waited = [], 0
        for asked in script['steps']:
            results.append(step(lab, asked))
            waited += asked.get('wait', 0)
        return {'results': results, 'slack': round(time.monotonic() - start - waited, 3)}
    except Exception:
        return {'error': traceback.format_exc()}
    finally:
        lab.close()


def work(worker, scripts):
    """One script after the other; the answers go into a file of this worker."""
    answers = {}
    for number, script in scripts:
        for _ in range(8):
            answer = play(number, script)
            if answer.get('slack', 0) < SLACK:
                break
            if not any('connections' in asked or 'wait' in asked for asked in script['steps']):
                answer['slack'] = 0
                break
        answers[script['name']] = answer
    with open('/tmp/worker%d.json' % worker, 'w') as file:
        json.dump(answers, file)


def main(folder):
    for module in MODULES:
        run(['modprobe', module])
    write('ipv4/icmp_msgs_per_sec', 100000)
    write('ipv4/icmp_msgs_burst', 100000)
    with open(folder + '/asked.json') as file:
        scripts = json.load(file)
    # Those that wait, beside those that do not: the machine has one processor.
    waits = lambda script: any('wait' in asked for asked in script['steps'])
    numbered = list(enumerate(scripts))
    queues = [[one for one in numbered if not waits(one[1])], [one for one in numbered if waits(one[1])]]
    children = []
    for worker, queue in enumerate(queues):
        child = os.fork()
        if child == 0:
            try:
                work(worker, queue)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    answers = {}
    for worker in range(len(queues)):
        with open('/tmp/worker%d.json' % worker) as file:
            answers.update(json.load(file))
    with open('/proc/sys/kernel/osrelease') as file:
        release = file.read().strip()
    with open(folder + '/recorded.json', 'w') as file:
        json.dump({'kernel': release, 'answers': answers}, file)
    print('recorded %d scripts' % len(answers))


main(sys.argv[1])
