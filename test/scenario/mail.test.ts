import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { waitFor } from './lab.ts';
import { which } from './lab/paths.ts';
import { scenario } from './scenario.ts';

interface Received {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly status: string;
  readonly text: string;
}

/** The usual configuration with directives put before the section and into it. */
function withMail(lab: Lab, before: string, inside = ''): string {
  return lab.writeConfig(`${before}\n${lab.usualConfig()}${inside}`);
}

/** A real mail server on the first real server's host, which keeps what it gets. */
class Sink {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  static async start(lab: Lab): Promise<Sink> {
    // It gives up its privileges, and makes files beside the one that it is told.
    const folder = join(lab.directory, 'mails');
    mkdirSync(folder);
    chmodSync(lab.directory, 0o755);
    chmodSync(folder, 0o777);
    const file = join(folder, 'all');
    const program = lab.servers[0]?.host.start([
      'smtp-sink',
      '-u',
      'nobody',
      '-D',
      file,
      '10.2.0.11:25',
      '100',
    ]);
    await waitFor('the mail server', 10, async () => {
      if (program?.finished !== undefined) throw new Error(program.finished.stderr);
      return (await lab.director.run(['bash', '-c', ': </dev/tcp/10.2.0.11/25'])).code === 0;
    });
    return new Sink(file);
  }

  mails(): readonly Received[] {
    if (!existsSync(this.#file)) return [];
    const text = readFileSync(this.#file, 'utf8').replaceAll('\r\n', '\n');
    return text
      .split(/^(?=X-Client-Addr: )/m)
      .filter((part) => part.includes('Daemon-Status'))
      .map(received);
  }
}

function received(text: string): Received {
  const unfolded = text.replace(/\n[ \t]/g, ' ');
  const line = (name: string): string => new RegExp(`^${name}: ?(.*)$`, 'm').exec(unfolded)?.[1] ?? '';
  return {
    from: line('X-Mail-Args'),
    to: [...unfolded.matchAll(/^X-Rcpt-Args: (.*)$/gm)].map(([, to]) => to).join(' '),
    subject: line('Subject'),
    status: line('Daemon-Status'),
    text,
  };
}

const hasSink = which('smtp-sink') !== undefined;

scenario('mails through a real mail server: each change once, then reminders', async (t, lab) => {
  if (!hasSink) {
    t.comment('smtp-sink of postfix is not installed');
    return;
  }
  const sink = await Sink.start(lab);
  const { servers, fallback } = lab;
  const config = withMail(
    lab,
    'emailalert="ops@example.com, root"\nemailalertfrom="Alerts" <alerts@example.com>\nsmtp=10.2.0.11\nemailalertfreq=2',
    '    servicename=Shop\n    comment=call 4711\n',
  );
  const daemon = await lab.startDirectord(config, 'start');
  await lab.untilPool(servers, 10);
  const where = '(10.1.0.100:80)';
  const added = servers.map(
    ({ endpoint }) => `[Shop] Added real server: ${endpoint} ${where} (Weight set to 1)`,
  );
  const fallbackMails = [
    `[Shop] Added fallback server: ${fallback.endpoint} ${where} (Weight set to 1)`,
    `[Shop] Deleted fallback server: ${fallback.endpoint} ${where}`,
  ];
  await waitFor('the mails of the start', 5, () => sink.mails().length >= 5);
  t.same(
    sink
      .mails()
      .map(({ subject }) => subject)
      .sort(),
    [...added, ...fallbackMails].sort(),
  );
  t.same([...new Set(sink.mails().map(({ status }) => status))], ['starting']);
  const [mail] = sink.mails();
  t.match(mail, { from: /^<root@[^>]+>/, to: '<ops@example.com> <root>' });
  t.match(mail?.text, /^From: "?Alerts"? <alerts@example\.com>$/m);
  t.match(
    mail?.text,
    /^ldirectord host: \S+\nLog-Message: \[Shop\] .*\nDaemon-Status: starting\n\nService name: Shop\nComment: call 4711$/m,
  );

  const [, rs2] = servers;
  rs2?.remove('test.html');
  await lab.untilPool(
    servers.filter((server) => server !== rs2),
    5,
  );
  const reminder = `[Shop] Inaccessible real server: ${rs2?.endpoint ?? ''} ${where}`;
  const reminders = (): number => sink.mails().filter(({ subject }) => subject === reminder).length;
  await waitFor('two reminders', 8, () => reminders() === 2);
  rs2?.write('test.html', 'OK\n');
  await lab.untilPool(servers, 5);
  const until = reminders();
  daemon.kill('SIGTERM');
  t.equal((await daemon.exited).code, 0);
  t.same(
    sink
      .mails()
      .slice(5)
      .map(({ status, subject }) => `${status}: ${subject}`)
      .filter((line) => !line.includes('Inaccessible'))
      .sort(),
    [
      `running: ${added[1] ?? ''}`,
      `running: [Shop] Deleted real server: ${rs2?.endpoint ?? ''} ${where}`,
      ...servers.map(({ endpoint }) => `stopping: [Shop] Purged real server (stop): ${endpoint} ${where}`),
    ],
    'with the daemon the last mails have gone',
  );
  t.equal(reminders(), until, 'nobody is reminded of a server that is back');
  t.same(
    lab
      .log()
      .split('\n')
      .flatMap((line) => / emailalert: (.*)/.exec(line)?.[1] ?? [])
      .map((text) => `[Shop] ${text}`)
      .sort(),
    sink
      .mails()
      .map(({ subject }) => subject)
      .sort(),
    'and each is in the log',
  );
});

scenario('the mailer of this host', async (t, lab) => {
  const box = join(lab.directory, 'box');
  const script = lab.writeConfig(`#!/bin/sh\n{ echo "ARGS $*"; cat; } >> '${box}'\n`, 'sendmail');
  chmodSync(script, 0o755);
  lab.env['PATH'] = `${lab.directory}:${lab.env['PATH'] ?? ''}`;
  const daemon = await lab.startDirectord(
    withMail(lab, 'emailalert="root"\nemailalertstatus=stopping'),
    'start',
  );
  await lab.untilPool(lab.servers, 10);
  t.notOk(existsSync(box), 'a state that is not wanted sends nothing');
  daemon.kill('SIGTERM');
  await daemon.exited;
  const text = readFileSync(box, 'utf8');
  t.same(text.match(/^ARGS .*/gm), ['ARGS -i -- root', 'ARGS -i -- root', 'ARGS -i -- root']);
  t.match(text, /^Subject: Purged real server \(stop\): 10\.2\.0\.11:80/m);
  t.notMatch(text, /\r/);
});

scenario('mail servers that are not there, refuse or hang cost mails, and nothing else', async (t, lab) => {
  const { servers } = lab;
  // 10.2.0.12 has no mail server; the one of 10.2.0.13 takes connections and says nothing
  const silent = servers[2]?.host.start(['python3', '-c', silentServer]);
  await waitFor('the silent server', 5, () => silent?.stdout.includes('ready'));
  const config = withMail(lab, 'emailalert=root\nsmtp=10.2.0.12');
  const daemon = await lab.startDirectord(config, 'start');
  await lab.untilPool(servers, 10);
  await waitFor('a line for each', 5, () => (lab.log().match(/failed to send SMTP/g) ?? []).length === 5);
  t.match(lab.log(), /failed to send SMTP email message: connect ECONNREFUSED 10\.2\.0\.12:25$/m);

  withMail(lab, 'emailalert=root\nsmtp=10.2.0.13');
  daemon.kill('SIGHUP');
  await waitFor('the reload', 5, () => lab.log().includes('Reloading'));
  const before = performance.now();
  for (let round = 0; round < 2; round += 1) {
    servers[0]?.remove('test.html');
    await lab.untilPool(servers.slice(1), 4);
    servers[0]?.write('test.html', 'OK\n');
    await lab.untilPool(servers, 4);
  }
  t.ok(performance.now() - before < 10_000, 'checks go on');
  const stopping = performance.now();
  daemon.kill('SIGTERM');
  t.equal((await daemon.exited).code, 0);
  const took = (performance.now() - stopping) / 1000;
  t.ok(took > 4 && took < 8, `the end waited ${took.toFixed(1)} s for mails`);
  t.match(lab.log(), /failed to send SMTP email message: directord ends/);
  t.match(lab.log(), /3 email messages were not sent/);
});

const silentServer = `
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.2.0.13", 25)); s.listen(50); print("ready", flush=True)
time.sleep(100)`;
