/**
 * Recordings of the real ldirectord: actions on its command line, and after each step the table as `ipvsadm -L -n`
 * printed it, the ipvsadm commands that ldirectord had issued, and its log.
 */
import { readFileSync } from 'node:fs';

/** From here on this configuration file. */
export interface RecordedScenario {
  readonly scenario: string;
  readonly config: string;
}

export interface RecordedAction {
  readonly action: string;
  readonly rc: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RecordedStep {
  readonly step: string;
  readonly ipvsadm_Ln: string;
  /** Arguments of ipvsadm, without the reading ones. */
  readonly calls: readonly string[];
  /** Calls of `ipvsadm -L -n`, and of the same with `--thresholds`. */
  readonly n_list: number;
  readonly n_thr: number;
  readonly log: string;
}

export type Recorded = RecordedScenario | RecordedAction | RecordedStep;

export function recording(name: string): readonly Recorded[] {
  const file = new URL(`../golden/ldirectord-${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as readonly Recorded[];
}

/** An action that went as it should. */
export function action(name: string): RecordedAction {
  return { action: name, rc: 0, stdout: '', stderr: '' };
}
