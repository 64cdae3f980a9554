/**
 * A director with directoradm in front of it, all in this process: every command line goes through the real parser,
 * the real control protocol over a stream in memory, the real director and the real printing.
 */
import { duplexPair } from 'node:stream';
import { ControlClient } from '../../src/control/client.ts';
import { applyAll } from '../../src/control/apply-all.ts';
import type { ControlBackend } from '../../src/control/protocol.ts';
import { serve } from '../../src/control/session.ts';
import { ControlUnavailable } from '../../src/control/unavailable.ts';
import { directoradm } from '../../src/cli/directoradm.ts';
import type { DirectoradmContext } from '../../src/cli/directoradm.ts';
import { restoreScript, saveScript } from '../../src/cli/directoradm-scripts.ts';
import { Director } from '../../src/director/director.ts';
import type { ConnectionEntry, EngineReport, TableFill } from '../../src/engines/engine.ts';
import { listServices } from '../../src/observe/listing.ts';
import type { RateSource } from '../../src/observe/listing.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { systemClock } from '../../src/util/clock.ts';
import type { Names } from '../../src/util/names.ts';

export interface Result {
  readonly rc: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LabOptions {
  readonly report?: EngineReport;
  readonly rates?: RateSource;
  readonly connections?: readonly ConnectionEntry[];
  readonly tables?: readonly TableFill[];
}

const hosts: readonly (readonly [address: string, name: string])[] = [
  ['127.0.0.1', 'localhost'],
  ['10.50.0.1', 'vip.example.com'],
  ['10.50.0.2', 'very-long-virtual-host-name-indeed.example.com'],
  ['192.168.50.11', 'web1.example.com'],
  ['192.168.50.12', 'web-with-a-very-long-hostname.subdomain.example.com'],
  ['2001:db8::77', 'v6vip.example.com'],
  ['2001:db8:50::11', 'v6web.example.com'],
  ['10.50.0.3', 'Mixed.Example.COM'],
  ['10.50.0.4', 'a'],
  ['10.50.0.5', 'twice.example.com'],
  ['10.50.0.6', 'twice.example.com'],
  ['10.50.0.7', 'under_score.example.com'],
  ['224.0.1.1', 'group.example.com'],
  [
    '10.70.0.1',
    'n123456789.123456789.123456789.123456789.123456789.123456789.123456789.123456789.example.com',
  ],
  ['10.70.0.2', 'm123456789.123456789.123456789.123456789.123456789.ex'],
  ['10.70.0.3', 'h123456789.123456789.12345'],
  ['10.70.0.4', 'h123456789.123456789.123456'],
  ['10.70.0.5', 'h123456789.123456789.1234'],
  ['10.70.0.6', 'k123456789.123456789.123456789.123456789.1234'],
  [
    '2001:db8:70::1',
    'six123456789.123456789.123456789.123456789.123456789.123456789.123456789.123456789.123456789.123456789.example.com',
  ],
  ['2001:db8:70::2', 'six123456789.123456789.123456789.123456789.12345678'],
];

const aliases: ReadonlyMap<string, string> = new Map([['vip', 'vip.example.com']]);

const ports: readonly (readonly [service: string, port: number, protocols: string])[] = [
  ['http', 80, 'tcp'],
  ['www', 80, 'tcp'],
  ['https', 443, 'tcp udp'],
  ['domain', 53, 'tcp udp'],
  ['http-alt', 8080, 'tcp udp'],
  ['webcache', 8080, 'tcp'],
  ['tproxy', 8081, 'tcp'],
  ['ftp', 21, 'tcp'],
  ['sip', 5060, 'tcp udp'],
  ['m3ua', 2905, 'sctp'],
  ['7days', 7777, 'tcp'],
  ['udponly', 999, 'udp'],
  ['a-service-with-a-long-name', 12345, 'tcp'],
];

export const names: Names = {
  address: (host, family) => {
    const canonical = aliases.get(host.toLowerCase()) ?? host.toLowerCase();
    const found = hosts.find(
      ([address, name]) => name.toLowerCase() === canonical && address.includes(':') === (family === 'inet6'),
    );
    return Promise.resolve(found?.[0]);
  },
  host: (address) => Promise.resolve(hosts.find(([known]) => known === address)?.[1]),
  port: (service, protocol) =>
    ports.find(([name, , protocols]) => name === service && protocols.split(' ').includes(protocol))?.[1],
  service: (port, protocol) =>
    ports.find(([, number, protocols]) => number === port && protocols.split(' ').includes(protocol))?.[0],
};

export class Lab {
  readonly director = new Director({
    applied: () => undefined,
    mtu: (name) =>
      new Map([
        ['eth0', 1500],
        ['eth1', 1500],
        ['lo', 65536],
      ]).get(name),
    isBroadcast: (address) => ['127.255.255.255', '10.9.0.255'].includes(address),
  });
  readonly #backend: ControlBackend;

  constructor({
    report = { services: [], totals: zeroCounters },
    rates,
    connections = [],
    tables = [],
  }: LabOptions = {}) {
    const { director } = this;
    this.#backend = {
      settled: () => Promise.resolve(),
      apply: (verb) => {
        director.apply(verb, 'control');
      },
      applyAll: (verbs) =>
        applyAll(verbs, (verb) => {
          director.apply(verb, 'control');
        }),
      list: (service) => {
        const found = service === undefined ? director.services() : director.find(service);
        const services = found === undefined ? [] : 'id' in found ? [found] : found;
        return Promise.resolve(listServices(services, report, rates ?? { rates: () => zeroCounters }));
      },
      connections: async (take) => {
        await take(connections);
      },
      tables: () => tables,
      statistics: () => ({ totals: report.totals, rates: zeroCounters }),
      health: () => ({ pid: 1, services: [] }),
      timeouts: () => director.timeouts(),
      syncDaemons: () => director.syncDaemons(),
    };
  }

  /** Runs one line of shell: commands with `;`, pipes, `printf`, quotes and `</dev/null`. */
  async shell(line: string): Promise<Result> {
    let last: Result = { rc: 0, stdout: '', stderr: '' };
    for (const pipeline of splitOutsideQuotes(line, ';')) {
      let input = '';
      let stderr = '';
      for (const command of splitOutsideQuotes(pipeline, '|')) {
        last = await this.run(wordsOf(command), input);
        input = last.stdout;
        stderr += last.stderr;
      }
      last = { ...last, stderr };
    }
    return last;
  }

  async run([command = '', ...words]: readonly string[], input = ''): Promise<Result> {
    if (command === 'printf') return { rc: 0, stdout: printf(words), stderr: '' };
    if (command === 'ip') return { rc: 0, stdout: '', stderr: '' };
    if (command === 'setpriv') return this.#adm(words.slice(words.indexOf('ipvsadm') + 1), input, 'denied');
    if (command === 'ipvsadm-save') return this.#withContext(input, (context) => saveScript(words, context));
    if (command === 'ipvsadm-restore') return this.#withContext(input, restoreScript);
    return this.#adm(words, input);
  }

  #adm(words: readonly string[], input: string, refusal?: 'denied'): Promise<Result> {
    return this.#withContext(input, (context) => directoradm(words, context), refusal);
  }

  async #withContext(
    input: string,
    use: (context: DirectoradmContext) => Promise<number>,
    refusal?: 'denied',
  ): Promise<Result> {
    let stdout = '';
    let stderr = '';
    const rc = await use({
      program: 'ipvsadm',
      version: () => '9.9.9',
      names: () => Promise.resolve(names),
      connect: () => {
        if (refusal !== undefined) throw new ControlUnavailable(refusal, 'no permission');
        return this.#connect();
      },
      out: (text) => (stdout += text),
      err: (text) => (stderr += text),
      input: async function* () {
        yield await Promise.resolve(input);
      },
    });
    return { rc, stdout, stderr };
  }

  #connect(): Promise<ControlClient> {
    const [near, far] = duplexPair();
    void serve(far, {
      backend: this.#backend,
      clock: systemClock,
      version: '9.9.9',
      problem: (message) => {
        throw new Error(message);
      },
    });
    return ControlClient.over(near);
  }
}

function splitOutsideQuotes(text: string, separator: string): readonly string[] {
  return text.match(new RegExp(`(?:'[^']*'|"[^"]*"|\\\\.|[^${separator}'"\\\\])+`, 'g')) ?? [];
}

function wordsOf(command: string): readonly string[] {
  const words = command.replace(/[<>]\/dev\/null/, '').match(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+/g) ?? [];
  return words.map((word) =>
    word.replace(/'([^']*)'|"([^"]*)"|\\(.)/g, (_, single?: string, double?: string, escaped?: string) =>
      [single, double, escaped].join(''),
    ),
  );
}

const printfEscapes = new Map([
  ['\\n', '\n'],
  ['\\t', '\t'],
  ['\\r', '\r'],
  ['\\v', '\v'],
  ['\\f', '\f'],
  ['\\0', '\0'],
  ['\\\\', '\\'],
  ['%%', '%'],
]);

function printf(words: readonly string[]): string {
  return words
    .filter((word) => word !== '--')
    .join('')
    .replace(/\\[ntrvf0\\]|%%/g, (escape) => printfEscapes.get(escape) ?? escape);
}
