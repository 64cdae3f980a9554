/** Kamailio for the sip check: answers OPTIONS, and only for those it knows. */
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';

export async function startSipServer(place: Place): Promise<number> {
  const port = await place.freePort();
  const listens = ['udp:127.0.0.1', 'tcp:127.0.0.1', 'udp:[::1]', 'tcp:[::1]'];
  const file = place.write(
    'kamailio.cfg',
    `#!KAMAILIO
children=1
tcp_children=1
auto_aliases=no
disable_core_dump=yes
${listens.map((listen) => `listen=${listen}:${port}`).join('\n')}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
request_route {
  # answers go back where requests come from, and not where Via says, so that something may stand between
  force_rport();
  if (method != "OPTIONS") {
    sl_send_reply("405", "Method Not Allowed");
  } else if ($rU == "nobody") {
    sl_send_reply("404", "Not Found");
  } else if ($rU == "patience") {
    sl_send_reply("100", "Trying");
    sl_send_reply("200", "OK");
  } else if (has_body() || !is_present_hf("Call-ID") || !is_present_hf("Contact")) {
    sl_send_reply("400", "Bad Request");
  } else {
    sl_send_reply("200", "OK");
  }
}
`,
  );
  // its control socket is in the working directory of its choice, and its memory small
  await place.serve(
    [which('kamailio') ?? '', '-DD', '-E', '-Y', place.directory, '-m', '16', '-M', '4', '-f', file],
    port,
  );
  return port;
}

/** `kamailio 5.6.3` */
export async function sipServerVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([which('kamailio') ?? '', '-v']);
  return stdout.replace(/.*?version: (\w+ [\d.]+).*/s, '$1');
}
