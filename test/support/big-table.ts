/** Ten thousand virtual services with four real servers each, as a restore has them. None of their addresses exists. */

export const bigTable = { services: 10_000, serversEach: 4 } as const;

/** Address of a service, all of them on port 80. */
export function virtualOf(service: number): string {
  return `10.${100 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`;
}

/** Address of a real server, all of them on port 8080. */
export function realOf(service: number, server: number): string {
  const number = service * bigTable.serversEach + server;
  return `172.${16 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

/** Lines for `-R`, in the order of a `-S`. */
export function bigTableRules(): string {
  const lines: string[] = [];
  for (let service = 0; service < bigTable.services; service++) {
    lines.push(`-A -t ${virtualOf(service)}:80 -s wlc`);
    for (let server = 0; server < bigTable.serversEach; server++)
      lines.push(`-a -t ${virtualOf(service)}:80 -r ${realOf(service, server)}:8080 -m -w ${server + 1}`);
  }
  return `${lines.join('\n')}\n`;
}
