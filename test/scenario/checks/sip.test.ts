import t from 'tap';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';
import { sipServerVersion, startSipServer } from './sip-server.ts';

const common = {
  program: 'kamailio',
  version: sipServerVersion,
  start: startSipServer,
  good: ['service=sip', 'login="joe@example.org"'],
  wrong: ['service=sip', 'login="nobody@example.org"'],
  half: 100,
};
const details = { up: /^SIP\/2\.0 200 OK$/, wrong: /^SIP\/2\.0 404 Not Found$/ };

checkRow({
  ...common,
  service: 'sip',
  protocol: 'udp',
  details: { ...details, half: /^timed out after 2 s, ignored: SIP\/2\.0 200 OK, cut off in its header$/ },
});

checkRow({
  ...common,
  service: 'sip over tcp',
  protocol: 'tcp',
  details: { ...details, half: /^closed the connection in the middle of "/ },
});

const skip = which('kamailio') === undefined ? 'kamailio is not installed' : false;
for (const protocol of ['udp', 'tcp'] as const) {
  void t.test(`sip over ${protocol}: logins`, { skip }, async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const port = await startSipServer(place);
    const at = { address: '127.0.0.1', port };
    const { found, output } = await probe(
      place,
      [
        { ...at, lines: ['service=sip'] },
        { ...at, lines: ['service=sip', 'login="patience@example.org"'] },
      ],
      { protocol },
    );
    t.match(found[0], { up: true, detail: 'SIP/2.0 200 OK' }, 'ldirectord@ this host, as no other is given');
    t.match(found[1], { up: true, detail: 'SIP/2.0 200 OK' }, '100 Trying is not the answer yet');
    if (!t.passing()) t.comment(output);
  });
}
