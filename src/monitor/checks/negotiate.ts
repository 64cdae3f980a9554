/** Which negotiate check a service has. */
import type { CheckService } from '../../config/model.ts';
import type { Ask } from './ask.ts';
import { up } from './ask.ts';
import { checkDns } from './dns.ts';
import { checkFtp } from './ftp.ts';
import { checkHttp } from './http.ts';
import { checkImap } from './imap.ts';
import { checkLdap } from './ldap.ts';
import { checkMysql } from './mysql.ts';
import { checkNntp } from './nntp.ts';
import { checkOracle } from './oracle.ts';
import { checkPgsql } from './pgsql.ts';
import { checkPop } from './pop.ts';
import { checkRadius } from './radius.ts';
import { checkSimpletcp } from './simpletcp.ts';
import { checkSip } from './sip.ts';
import { checkSmtp } from './smtp.ts';

const checks: Readonly<Record<CheckService, Ask>> = {
  dns: checkDns,
  ftp: checkFtp,
  http: checkHttp,
  https: checkHttp,
  http_proxy: checkHttp,
  imap: checkImap,
  imaps: checkImap,
  ldap: checkLdap,
  ldaps: checkLdap,
  mysql: checkMysql,
  nntp: checkNntp,
  none: () => Promise.resolve(up('no service to check')),
  oracle: checkOracle,
  pgsql: checkPgsql,
  pop: checkPop,
  pops: checkPop,
  radius: checkRadius,
  simpletcp: checkSimpletcp,
  sip: checkSip,
  smtp: checkSmtp,
  submission: checkSmtp,
};

export const checkNegotiate: Ask = (settings, signal, parts) =>
  checks[settings.service](settings, signal, parts);
