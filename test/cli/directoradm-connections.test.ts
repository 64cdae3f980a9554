import t from 'tap';
import { connectionsTitle, formatConnections } from '../../src/cli/directoradm-connections.ts';
import { numericNaming } from '../../src/cli/directoradm-naming.ts';
import type { ConnectionEntry } from '../../src/engines/engine.ts';

const template: ConnectionEntry = {
  protocol: 'udp',
  state: 'NONE',
  expires: 59.9,
  client: '10.1.0.2',
  clientPort: 0,
  virtual: '10.1.0.100',
  virtualPort: 5060,
  destination: '10.2.0.11',
  destinationPort: 5060,
  engineData: { engine: 'sip', data: 'bbb@x' },
};
const { engineData, ...plain } = template;
const entries = [template, { ...plain, state: 'UDP', expires: 299, clientPort: 50001 }];

function shown(withEngine: boolean): string {
  return `${connectionsTitle(withEngine)}${formatConnections(entries, numericNaming, withEngine)}`;
}

void t.test('what a persistence engine knows a template by is told with --persistent-conn alone', (t) => {
  t.equal(
    shown(true),
    `IPVS connection entries
pro expire state       source             virtual            destination        pe name          pe_data
UDP 00:59  NONE        10.1.0.2:0         10.1.0.100:5060    10.2.0.11:5060   sip                ${engineData?.data ?? ''}
UDP 04:59  UDP         10.1.0.2:50001     10.1.0.100:5060    10.2.0.11:5060
`,
  );
  t.equal(
    shown(false),
    `IPVS connection entries
pro expire state       source             virtual            destination
UDP 00:59  NONE        10.1.0.2:0         10.1.0.100:5060    10.2.0.11:5060
UDP 04:59  UDP         10.1.0.2:50001     10.1.0.100:5060    10.2.0.11:5060
`,
  );
  t.end();
});
