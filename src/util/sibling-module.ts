/** Finds a module beside another one, as source (`.ts`, under a loader) or as built (`.js`). */
export function siblingModule(ofModule: string, name: string): URL {
  const extension = ofModule.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./${name}.${extension}`, ofModule);
}
