/** Where in its interval a check has its place: fixed by what it asks, so that a restart changes nothing. */

/** FNV-1a, mixed as in MurmurHash3, because questions that follow one another differ in their last letters only. @returns 0..1, without 1 */
export function spread(question: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < question.length; i++) hash = Math.imul(hash ^ question.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
