/**
 * `make demo`: a client, a director and three web servers on this machine, and directord doing for them what it is for.
 * Whatever it says it has checked; it exits 1 with an explanation when something is not as it said. With STAY=1 it keeps
 * everything running, for a try by hand, until Ctrl-C.
 */
import { once } from 'node:events';
import { relative } from 'node:path';
import { Lab, waitFor, type WebServer } from '../scenario/lab.ts';
import { whyNoNamespaces } from '../scenario/lab/network.ts';
import { root, which } from '../scenario/lab/paths.ts';
import { BrokenClaim, broken, claim, command, heading, output, say } from './narrator.ts';
import { Traffic } from './traffic.ts';

const began = performance.now();
process.exitCode = await main();

async function main(): Promise<number> {
  if (which('curl') === undefined) {
    broken('this needs curl: apt-get install curl');
    return 1;
  }
  const obstacle = whyNoNamespaces();
  if (obstacle !== undefined) say(`On loopback addresses: ${obstacle}.`);
  const lab = await Lab.open(obstacle === undefined ? 'namespaces' : 'loopback');
  try {
    await demonstrate(lab);
    return 0;
  } catch (error) {
    broken(error instanceof BrokenClaim ? error.message : String(error));
    say('The end of the log of directord:');
    output(lab.log().split('\n').slice(-15).join('\n'));
    return 1;
  } finally {
    await lab.close();
  }
}

async function demonstrate(lab: Lab): Promise<void> {
  introduce(lab);
  const config = await start(lab);
  await balance(lab);
  const traffic = await Traffic.start(lab);
  const [, second] = lab.servers;
  if (second !== undefined) await loseOne(lab, second, traffic);
  await loseAll(lab, traffic);
  await traffic.end();
  claim(
    traffic.failures().length === 0,
    `the client made ${traffic.count()} requests in all, and not one failed`,
    `${traffic.failures().length} failed: ${traffic.failures().slice(0, 3).join('; ')}`,
  );
  if (process.env['STAY'] === '1') await stay(lab);
  await stop(lab, config);
  say(`\nDone in ${((performance.now() - began) / 1000).toFixed(0)} s. To keep it running: make demo STAY=1`);
}

function introduce(lab: Lab): void {
  heading('The machines');
  const reals = lab.servers.map(({ name, endpoint }) => `${name} ${endpoint}`).join(', ');
  if (lab.kind === 'namespaces') {
    say('Each in a network namespace of its own; the web servers are real nginx.');
    say('client 10.1.0.2 --- 10.1.0.1 director 10.2.0.1 --- real servers');
  } else {
    say('Without root there are no network namespaces: all on loopback addresses of this machine.');
  }
  say(`virtual service  ${lab.vip}:${lab.port}`);
  say(`real servers     ${reals}`);
  say(`fallback         ${lab.fallback.endpoint}`);
}

/** @returns the path of the configuration file */
async function start(lab: Lab): Promise<string> {
  heading('An ldirectord.cf, as it is');
  const config = lab.writeConfig(lab.usualConfig(), 'ldirectord.cf');
  output(lab.usualConfig());
  await directord(lab, config, 'check');
  await directord(lab, config, 'start');
  const seconds = await lab.untilPool(lab.servers, 10);
  claim(seconds < 10, `all three servers passed their check, ${seconds.toFixed(1)} s after the start`, '');
  return config;
}

async function balance(lab: Lab): Promise<void> {
  heading('Six requests');
  command('client', `curl ${lab.url}    # six times`);
  const answers = await lab.curl(6);
  output(answers.join('  '));
  const each = lab.servers.map(({ name }) => answers.filter((answer) => answer === name).length);
  claim(each.join() === '2,2,2', 'round robin: every server answered twice', `It was ${each.join(', ')}.`);
  await list(lab);
}

async function loseOne(lab: Lab, server: WebServer, traffic: Traffic): Promise<void> {
  heading(`${server.name} gets sick, while a client asks every ${traffic.interval} ms`);
  const others = lab.servers.filter((other) => other !== server);
  await takeAway(lab, [server]);
  const seconds = await lab.untilPool(others, 10);
  claim(seconds < 5, `${server.name} left the pool ${seconds.toFixed(1)} s after its page`, 'That is slow.');
  await list(lab);
  await traffic.claimOnly(others.map(({ name }) => name));
  heading(`${server.name} is well again`);
  await putBack(lab, [server]);
  claim((await lab.untilPool(lab.servers, 10)) < 5, `${server.name} is back in the pool`, 'That was slow.');
  await traffic.claimOnly(lab.servers.map(({ name }) => name));
}

async function loseAll(lab: Lab, traffic: Traffic): Promise<void> {
  heading('All three get sick');
  await takeAway(lab, lab.servers);
  const seconds = await lab.untilPool([lab.fallback], 10);
  claim(seconds < 5, `the fallback took over ${seconds.toFixed(1)} s later`, 'That is slow.');
  await list(lab);
  await traffic.claimOnly([lab.fallback.name]);
  heading('And return');
  await putBack(lab, lab.servers);
  claim((await lab.untilPool(lab.servers, 10)) < 5, 'the fallback made way for them', 'That was slow.');
  await traffic.claimOnly(lab.servers.map(({ name }) => name));
}

async function stop(lab: Lab, config: string): Promise<void> {
  heading('Stop');
  await directord(lab, config, 'stop');
  await waitFor('directord to end', 10, async () => (await lab.directord(config, 'status')).code === 3);
  const [answer = ''] = await lab.curl(1);
  claim(answer.startsWith('curl:'), 'the virtual service is gone', `It still answers: ${answer}`);
}

async function stay(lab: Lab): Promise<void> {
  const enter = (host: string, line: string) => {
    const namespace = lab.kind === 'namespaces' ? `ip netns exec ${host} ` : '';
    return `   ${namespace}${line}`;
  };
  const { director, client, directory } = lab;
  const control = `env DIRECTORD_CONTROL=${lab.env['DIRECTORD_CONTROL'] ?? ''}`;
  heading('It stays, until Ctrl-C. In another terminal:');
  say(enter(client.namespace ?? '', `curl ${lab.url}`));
  say(enter(director.namespace ?? '', `${control} ${root}/dist/bin/directoradm -L -n`));
  say(`   rm ${directory}/rs2/www/test.html`);
  say(`   echo OK >${directory}/rs2/www/test.html`);
  say(`   tail -f ${lab.logfile}`);
  process.removeAllListeners('SIGINT');
  // Something must keep the loop alive while the signal is waited for.
  const alive = setInterval(() => undefined, 60_000);
  await once(process, 'SIGINT');
  clearInterval(alive);
}

async function directord(lab: Lab, config: string, action: string): Promise<void> {
  const engine = ['start', 'check'].includes(action) ? ['--engine', 'relay'] : [];
  command('director', ['directord', ...engine, relative(lab.directory, config), action].join(' '));
  const { code, stdout, stderr } = await lab.directord(...engine, config, action);
  output(`${stdout}${stderr}`);
  if (code !== 0) throw new BrokenClaim(`directord ${action} ended with exit status ${code ?? 'none'}`);
}

async function list(lab: Lab): Promise<void> {
  command('director', 'directoradm -L -n');
  output((await lab.adm('-L', '-n')).stdout);
}

async function takeAway(lab: Lab, servers: readonly WebServer[]): Promise<void> {
  for (const server of servers) await onServer(lab, server, 'rm test.html');
}

async function putBack(lab: Lab, servers: readonly WebServer[]): Promise<void> {
  for (const server of servers) await onServer(lab, server, 'echo OK >test.html');
}

async function onServer(lab: Lab, server: WebServer, line: string): Promise<void> {
  command(server.name, line);
  const { code, stderr } = await server.host.run(['sh', '-c', `cd "$1" && ${line}`, 'sh', server.folder]);
  if (code !== 0) throw new BrokenClaim(`${line} failed on ${server.name} of ${lab.directory}: ${stderr}`);
}
