import t from 'tap';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';
import { ftpPassword, startVsftpd } from './vsftpd.ts';

const login = ['service=ftp', 'login="anonymous"', `passwd="${ftpPassword}"`];
const file = [...login, 'request="welcome.msg"'];
const active = ['env', 'FTP_PASSIVE=0'];

for (const prefix of [[], active]) {
  checkRow({
    service: prefix === active ? 'ftp (active)' : 'ftp',
    program: 'vsftpd',
    version: async (place) => {
      // it says so on its standard input
      const { stdout } = await place.run(['bash', '-c', `${which('vsftpd') ?? ''} -v 0>&1`]);
      return stdout.trim().replace(': version', '');
    },
    start: startVsftpd,
    prefix: () => prefix,
    good: [...file, 'receive="all .* well"'],
    wrong: [...file, 'receive="all .* lost"'],
    half: 30,
    details: {
      up: /^226 Transfer complete\.$/,
      wrong: /^226 Transfer complete\., but the file does not match "all \.\* lost"$/,
      half: /^closed the connection in the middle of "331/,
    },
  });
}

const skip = which('vsftpd') === undefined ? 'vsftpd is not installed' : false;
void t.test('what an ftp server may say', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const port = await startVsftpd(place);
  const cases = [
    { lines: file, up: true, detail: '226 Transfer complete.' },
    { lines: login, up: true, detail: 'logged in; 550 Failed to open file.' },
    {
      lines: [...login, 'request="nothing"'],
      up: false,
      detail: 'RETR /nothing: 550 Failed to open file.',
    },
    {
      lines: ['service=ftp', 'login="anonymous"', 'passwd="guessed"'],
      up: false,
      detail: 'login failed: 530 Login incorrect.',
    },
    {
      lines: ['service=ftp', 'login="somebody"', 'passwd="guessed"'],
      up: false,
      detail: 'login failed: 530 This FTP server is anonymous only.',
    },
  ];
  for (const prefix of [[], active]) {
    const sections = cases.map(({ lines }) => ({ address: '127.0.0.1', port, lines }));
    const { found, output } = await probe(place, sections, { prefix, deadline: 5 });
    for (const [i, { up, detail, lines }] of cases.entries())
      t.match(found[i], { up, detail }, [...prefix, ...lines].join(' '));
    t.notMatch(output, /sesame|guessed/, 'passwords are not told');
  }
});
