/** How the demonstration speaks: headings, commands as an operator would type them, and claims that are checked. */
import { styleText } from 'node:util';

/** Something that was said turned out not to be so. */
export class BrokenClaim extends Error {
  override readonly name = 'BrokenClaim';
}

export function heading(text: string): void {
  print(`\n${paint('bold', text)}`);
}

export function say(text: string): void {
  print(indented(text));
}

/** A command that is run now, as typed on that host. */
export function command(host: string, text: string): void {
  print(indented(`${paint('gray', `${host}$`)} ${paint('cyan', text)}`));
}

export function output(text: string): void {
  const lines = text.trimEnd();
  if (lines !== '') print(indented(lines));
}

/** Says what was found to hold. @throws BrokenClaim with the explanation when it does not */
export function claim(holds: boolean, text: string, otherwise: string): void {
  if (!holds) throw new BrokenClaim(`${text}: not so. ${otherwise}`);
  print(indented(`${paint('green', 'ok')} ${text}`));
}

export function broken(text: string): void {
  print(`\n${paint('red', 'FAILED')} ${text}`);
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '   ');
}

function paint(style: 'bold' | 'gray' | 'cyan' | 'green' | 'red', text: string): string {
  return process.stdout.isTTY ? styleText(style, text) : text;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
