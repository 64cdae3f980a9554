/** Time, passed in, so that tests never sleep. */
export interface Clock {
  /** Milliseconds, monotonic, from an arbitrary start. */
  now(): number;
  /** Calls back once after so many milliseconds unless cancelled. */
  after(milliseconds: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Node's own timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return {
      cancel() {
        clearTimeout(timer);
      },
    };
  },
};
