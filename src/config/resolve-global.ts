/** Global directives with the program's defaults filled in. */
import type { ServiceSettings } from '../director/table.ts';
import type { GlobalDraft } from './draft.ts';
import { emailStates } from './email-status.ts';
import type { Fallback, GlobalSettings } from './model.ts';

export type ProxyProtocol = ServiceSettings['proxyProtocol'];

export const defaultLogfile = '/var/log/ldirectord.log';

/** Global fallbacks with their names looked up. Port 0: that of each virtual service. */
export interface GlobalFallbacks {
  fallback?: Fallback;
  fallback6?: Fallback;
}

export function resolveGlobal(draft: GlobalDraft, { fallback, fallback6 }: GlobalFallbacks): GlobalSettings {
  return {
    checkinterval: draft.checkinterval ?? 10,
    checkcount: draft.checkcount ?? 1,
    failurecount: draft.failurecount ?? 1,
    flapdamping: draft.flapdamping === 'no' ? undefined : draft.flapdamping,
    checktimeout: draft.checktimeout,
    negotiatetimeout: draft.negotiatetimeout,
    autoreload: draft.autoreload ?? false,
    callback: draft.callback === '' ? undefined : draft.callback,
    logfile: draft.logfile ?? defaultLogfile,
    execute: [...draft.execute],
    fork: draft.fork ?? false,
    supervised: draft.supervised ?? false,
    // the manual says yes; the program has always done no
    quiescent: draft.quiescent ?? false,
    readdquiescent: draft.readdquiescent ?? false,
    cleanstop: draft.cleanstop ?? true,
    emailalert: {
      to: draft.emailalert ?? '',
      frequency: draft.emailalertfreq ?? 0,
      states: draft.emailalertstatus ?? new Set(emailStates),
      ...(draft.smtp === undefined ? {} : { smtp: draft.smtp }),
    },
    emailalertfrom: draft.emailalertfrom,
    maintenancedir: draft.maintenancedir,
    fallback,
    fallback6,
    fallbackcommand: draft.fallbackcommand,
  };
}

export function globalProxyProtocol(draft: GlobalDraft): ProxyProtocol {
  return draft.proxyprotocol === undefined || draft.proxyprotocol === 'no' ? 'none' : draft.proxyprotocol;
}
