/** A forwarding process for tests that forwards nothing: every second report that it is asked for is its last. */
import type { FromForwarder, ToForwarder } from '../../src/engines/child-protocol.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { ReportPacker } from '../../src/engines/packed-report.ts';

let connections = 0;

function tell(message: FromForwarder): void {
  process.send?.(message);
}

process.on('message', (message: ToForwarder) => {
  if (message.type === 'verbs') {
    if (message.verbs.some(({ verb }) => verb === 'zero')) connections = 0;
    return;
  }
  const { id } = message;
  switch (message.request) {
    case 'report':
      connections += 10;
      tell({
        type: 'report',
        id,
        report: new ReportPacker(0, 0).finish({ ...zeroCounters, connections }),
      });
      if (connections === 20) process.exit();
      break;
    case 'stop':
      tell({ type: 'stopped', id, closed: 0 });
      process.disconnect();
      break;
    default:
      tell({ type: 'settled', id });
  }
});
tell({ type: 'ready' });
