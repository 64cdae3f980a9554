/** When a check that goes on failing fails for another reason, so that this is said once, and not at every check. */

/** Numbers of up to three digits are what servers answer with: 404, 503, 554. Longer ones, and ids, are stamps. */
const stamps = /\d+(?::\d+)+|\b(?=[a-z]*\d)[\da-z-]{6,}\b|\d{4,}/gi;

/** Whether two details say the same, but for times and ids that a server stamps each of its answers with. */
export function isSameReason(one: string, other: string): boolean {
  return one === other || one.replace(stamps, '#') === other.replace(stamps, '#');
}
