/** The domains in which a resolver looks for a name without a dot (resolv.conf(5)), as Net::DNS, which ldirectord asks with, knows them. */

/** @param resolvConf the text of /etc/resolv.conf. @param hostname of this host; its domain is the last resort */
export function searchList(resolvConf: string, hostname: string): readonly string[] {
  const [, hostDomain] = /\.(.+)/.exec(hostname) ?? [];
  let domains = hostDomain === undefined ? [] : [hostDomain];
  const searched: string[] = [];
  for (const line of resolvConf.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[;#].*/, '')
      .trimEnd()
      .split(/\s+/);
    if (keyword === 'domain') domains = words.slice(0, 1);
    if (keyword === 'search') searched.push(...words);
  }
  return searched.length > 0 ? searched : domains;
}

/** The names to ask for, one after the other. A name that has a dot is complete. */
export function searchedNames(name: string, domains: readonly string[]): readonly string[] {
  if (name === '' || /[.:]/.test(name) || domains.length === 0) return [name];
  return domains.map((domain) => `${name}.${domain}`);
}
