/** What `directord CONFIG check --probe` prints: each real server, whether it is up, how long that took to say, and why. */

export interface Probed {
  /** `tcp:10.1.0.100:80` */
  readonly virtual: string;
  /** `10.2.0.11:80` */
  readonly real: string;
  readonly result: { readonly up: boolean; readonly detail: string; readonly milliseconds: number };
}

/** @param probed those of one virtual service follow one another */
export function probeText(probed: readonly Probed[]): string {
  const width = Math.max(0, ...probed.map(({ real }) => real.length));
  const lines = probed.map(({ real, result }) => {
    const time = `${Math.round(result.milliseconds)} ms`.padStart(8);
    return `  -> ${real.padEnd(width)}  ${result.up ? 'up  ' : 'down'} ${time}  ${result.detail}`.trimEnd();
  });
  const blocks = lines.flatMap((line, i) => {
    const virtual = probed[i]?.virtual ?? '';
    return virtual === probed[i - 1]?.virtual ? [line] : [`probed    ${virtual}`, line];
  });
  const down = probed.filter(({ result }) => !result.up).length;
  const sum = `${probed.length - down} of ${probed.length} real servers up`;
  return `${[...blocks, sum].join('\n')}\n`;
}
