/** What an LDAPResult says (RFC 4511, section 4.1.9), in one line: `invalidCredentials: the server's own words`. */
import type { Element } from './ber.ts';
import { elements, numberOf } from './ber.ts';
import { oneLine } from '../../util/one-line.ts';

const codes: Readonly<Record<number, string>> = {
  0: 'success',
  1: 'operationsError',
  2: 'protocolError',
  3: 'timeLimitExceeded',
  4: 'sizeLimitExceeded',
  7: 'authMethodNotSupported',
  8: 'strongerAuthRequired',
  10: 'referral',
  11: 'adminLimitExceeded',
  12: 'unavailableCriticalExtension',
  13: 'confidentialityRequired',
  14: 'saslBindInProgress',
  16: 'noSuchAttribute',
  18: 'inappropriateMatching',
  21: 'invalidAttributeSyntax',
  32: 'noSuchObject',
  33: 'aliasProblem',
  34: 'invalidDNSyntax',
  36: 'aliasDereferencingProblem',
  48: 'inappropriateAuthentication',
  49: 'invalidCredentials',
  50: 'insufficientAccessRights',
  51: 'busy',
  52: 'unavailable',
  53: 'unwillingToPerform',
  54: 'loopDetect',
  80: 'other',
};

const referralTag = 0xa3;

/** @returns `success`, `noSuchObject`, `referral to ldap://b/`. @throws when it is no LDAPResult */
export function resultText(result: Element): string {
  const [code, , message, ...more] = elements(result);
  if (code === undefined || message === undefined) throw new Error('no LDAP: not a result');
  const value = numberOf(code);
  if (value === 0) return 'success';
  const name = codes[value] ?? `result ${value}`;
  const referral = more.find(({ tag }) => tag === referralTag);
  const [target] = referral === undefined ? [] : elements(referral);
  const said = oneLine(message.contents.toString('utf8'));
  return `${name}${target === undefined ? '' : ` to ${target.contents.toString('utf8')}`}${said === '' ? '' : `: ${said}`}`;
}
