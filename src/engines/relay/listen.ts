/** Opens the socket of a virtual service. */
import * as c from '../../platform/libc.ts';
import { familyOf } from '../../util/ip.ts';
import type { ListenerSpec } from './protocol.ts';
import { addressFamilyNumber, encodeSockaddr } from './socket-address.ts';

const BACKLOG = 4096;
const one = Uint8Array.of(1, 0, 0, 0);

/** An open socket, or the error number of the step that failed. */
export type Opened = { readonly fd: number } | { readonly error: number };

/**
 * A non-blocking socket bound to the service's address and port, listening if it is TCP. The address need not be on this
 * host yet (freebind): a virtual address often arrives later, with keepalived or heartbeat.
 * @param share several threads, or processes of this user, may open the same service
 */
export function openService(spec: ListenerSpec, share: boolean): Opened {
  const family = familyOf(spec.address);
  const type = spec.protocol === 'tcp' ? c.SOCK_STREAM : c.SOCK_DGRAM;
  const fd = c.socket(addressFamilyNumber(family), type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return { error: c.errno() };
  if (spec.protocol === 'tcp') {
    c.setsockopt(fd, c.SOL_SOCKET, c.SO_REUSEADDR, one, 4);
    // Accepted sockets inherit it.
    c.setsockopt(fd, c.IPPROTO_TCP, c.TCP_NODELAY, one, 4);
  }
  if (share) c.setsockopt(fd, c.SOL_SOCKET, c.SO_REUSEPORT, one, 4);
  if (family === 'inet') c.setsockopt(fd, c.IPPROTO_IP, c.IP_FREEBIND, one, 4);
  else {
    c.setsockopt(fd, c.IPPROTO_IPV6, c.IPV6_FREEBIND, one, 4);
    c.setsockopt(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, one, 4);
  }
  const address = encodeSockaddr(spec.address, spec.port);
  const failed =
    c.bind(fd, address, address.length) < 0 || (spec.protocol === 'tcp' && c.listen(fd, BACKLOG) < 0);
  if (!failed) return { fd };
  const error = c.errno();
  c.close(fd);
  return { error };
}
