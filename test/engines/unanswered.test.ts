import t from 'tap';
import { Unanswered } from '../../src/engines/unanswered.ts';

t.test('whoever repeats his SYNs to many servers does not fill the log', (t) => {
  const unanswered = new Unanswered();
  const nameOf = (destination: number): string => `server ${destination}`;
  for (let time = 0; time < 3; time++)
    for (let destination = 0; destination < 1000; destination++)
      unanswered.note(destination, () => '10.1.0.2', 'unknown');
  const lines = unanswered.lines(nameOf);
  t.equal(lines.length, 11);
  t.match(lines[0], /no reply of server 0 came through the director, .* 3 times \(such as 10\.1\.0\.2\)/);
  t.match(lines[10], /990 more/);
  t.same(unanswered.lines(nameOf), [], 'and it is told once');
  unanswered.note(7, () => '10.1.0.2', 'neighbours');
  t.match(unanswered.lines(nameOf), [/server 7 .* on the same network/]);
  t.end();
});
