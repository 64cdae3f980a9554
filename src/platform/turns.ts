/** Works on one thing, one after the other in the order of the calls; a work that failed does not stop the next. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work, work);
    this.#last = turn;
    return turn;
  }
}
