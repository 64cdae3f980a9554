/** The operator's side of a subject: ipvsadm command lines that change its table, and the listings that ipvsadm prints of it. */
import type { NamesSource } from '../../src/cli/directoradm-addresses.ts';
import { parseCommand } from '../../src/cli/directoradm-command.ts';
import { formatListing, versionLine } from '../../src/cli/directoradm-listing.ts';
import { numericNaming } from '../../src/cli/directoradm-naming.ts';
import { Director } from '../../src/director/director.ts';
import type { Verb } from '../../src/director/verbs.ts';
import type { PackedReport } from '../../src/engines/packed-report.ts';
import { unpackReport } from '../../src/engines/packed-report.ts';
import { sortListing } from '../../src/observe/listing-order.ts';
import { listServices } from '../../src/observe/listing.ts';
import { RateEstimator } from '../../src/observe/rates.ts';

const formats = { '': 'plain', '--stats': 'stats', '--persistent-conn': 'persistent-conn' } as const;

export type ListingOption = keyof typeof formats;

const noNames: NamesSource = {
  host: (name: string) => Promise.reject(new Error(`a story names hosts by address, not ${name}`)),
  service: () => undefined,
} as unknown as NamesSource;

export class StoryDirector {
  readonly #director: Director;

  /** @param applied the engine gets each verb */
  constructor(applied: (verb: Verb) => void) {
    this.#director = new Director({ applied });
  }

  async ipvsadm(words: readonly string[]): Promise<void> {
    const command = await parseCommand(words, 'ipvsadm', noNames);
    if (command.command !== 'apply') throw new Error(`${words.join(' ')} changes nothing`);
    this.#director.apply(command.verb, 'story');
  }

  listing(option: ListingOption, report: PackedReport): string {
    const services = listServices(this.#director.services(), unpackReport(report), new RateEstimator());
    const options = { format: formats[option], exact: false, naming: numericNaming };
    return `${versionLine}\n${formatListing(sortListing(services), options)}`;
  }
}
