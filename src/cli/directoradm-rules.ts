/**
 * Which options a command takes, needs, and takes only one of: ipvsadm's table, checked column by column after all
 * options were read.
 */
import { UsageFault } from './directoradm-faults.ts';
import type { CommandName, OptionName } from './directoradm-options.ts';
import { optionNames } from './directoradm-options.ts';

interface Rule {
  readonly needs?: readonly OptionName[];
  readonly takes?: readonly OptionName[];
  /** At most one of these. */
  readonly oneOf?: readonly OptionName[];
}

const serviceOptions: readonly OptionName[] = [
  'scheduler',
  'persistent',
  'netmask',
  'ops',
  'pe',
  'sched-flags',
  'proxy-protocol',
];

const serverOptions: readonly OptionName[] = [
  'forwarding-method',
  'weight',
  'u-threshold',
  'l-threshold',
  'tun-type',
  'tun-port',
  'tun-nocsum',
  'tun-csum',
  'tun-remcsum',
];

const rules: Readonly<Record<CommandName, Rule>> = {
  'add-service': { needs: ['service-address'], takes: serviceOptions },
  'edit-service': { needs: ['service-address'], takes: serviceOptions },
  'delete-service': { needs: ['service-address'] },
  flush: {},
  list: {
    takes: [
      'numeric',
      'stats',
      'rate',
      'thresholds',
      'persistent-conn',
      'nosort',
      'syncid',
      'exact',
      'tun-info',
      'json',
    ],
    oneOf: ['connection', 'service-address', 'timeout', 'daemon', 'tables'],
  },
  'add-server': { needs: ['service-address', 'real-server'], takes: serverOptions },
  'edit-server': { needs: ['service-address', 'real-server'], takes: serverOptions },
  'delete-server': { needs: ['service-address', 'real-server'] },
  set: {},
  'start-daemon': {
    takes: ['mcast-interface', 'syncid', 'mcast-group', 'mcast-port', 'mcast-ttl', 'sync-maxlen'],
  },
  'stop-daemon': { takes: ['syncid'] },
  restore: {},
  save: { takes: ['numeric'] },
  zero: { takes: ['service-address'] },
  help: {},
  version: {},
  proc: {},
};

const tunnelRules = {
  ipip: {},
  gue: { needs: ['tun-port'], oneOf: ['tun-nocsum', 'tun-csum', 'tun-remcsum'] },
  gre: { oneOf: ['tun-nocsum', 'tun-csum'] },
} as const satisfies Readonly<Record<string, Rule>>;

const tunnelOptions: readonly OptionName[] = ['tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum'];

/** @throws UsageFault */
export function checkOptions(command: CommandName, given: ReadonlySet<OptionName>): void {
  check(rules[command], optionNames, given, `'${command}' command`);
  if (command === 'list' && listConflicts(given))
    throw new UsageFault(2, 'options conflicts in the list command');
}

/** @throws UsageFault */
export function checkTunnelOptions(type: keyof typeof tunnelRules, given: ReadonlySet<OptionName>): void {
  check(tunnelRules[type], tunnelOptions, given, `'${type}' tunnel type`);
}

function check(
  rule: Rule,
  columns: readonly OptionName[],
  given: ReadonlySet<OptionName>,
  whose: string,
): void {
  let chosen: OptionName | undefined;
  for (const name of columns) {
    if (!given.has(name)) {
      if (rule.needs?.includes(name)) {
        throw new UsageFault(2, `You need to supply the '${name}' option for the ${whose}`);
      }
    } else if (rule.oneOf?.includes(name)) {
      if (chosen !== undefined) {
        throw new UsageFault(2, `The option '${name}' conflicts with the '${chosen}' option in the ${whose}`);
      }
      chosen = name;
    } else if (!rule.needs?.includes(name) && !rule.takes?.includes(name)) {
      throw new UsageFault(2, `Illegal '${name}' option with the ${whose}`);
    }
  }
}

function listConflicts(given: ReadonlySet<OptionName>): boolean {
  const other = given.has('timeout') || given.has('daemon') || given.has('tables');
  const counters = given.has('stats') || given.has('rate') || given.has('thresholds');
  return ((other || given.has('connection')) && counters) || (other && given.has('persistent-conn'));
}
