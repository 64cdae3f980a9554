/** The time that BPF programs go by, in the record of the settings: the sweeper writes it every 10 ms (bpf/clock.h). */
import { Settings } from './layout.ts';

/** For a time in which no sweeper is at work. @param tick of the programs' clock */
export function tellTime(settings: DataView, tick: number): void {
  settings.setUint32(Settings.now, tick, true);
  settings.setUint16(Settings.second, (tick >>> 10) | 0x8000, true);
  settings.setUint16(Settings.fourSeconds, (tick >>> 12) | 0x8000, true);
}
