// Settings of the fault lab: one bucket with many domains, whose origins differ in address and time-outs. Two further
// buckets require tokens, and a project has key pairs that a row may disable.
import { APPID, KEYS } from "../helpers/settings.ts";

/** For rows that wait for a deadline; all other steps must fit in on a busy machine. */
const SHORT_TIMES = { connect: "2s", firstByte: "1s", idle: "1s", total: "4s" };
const PATIENT_TIMES = { connect: "5s", firstByte: "10s", idle: "10s", total: "30s" };
/** For rows about silence: the steps before it have enough time. */
const SILENT_TIMES = { ...PATIENT_TIMES, idle: "1s" };

export const SIGNED = "signed.test";
export const ONCE = "once.test";
/** The domain of the project whose key pairs change. */
export const ROTATED = "rotated.test";
export const ROTATED_APPID = "10009999";
export const ROTATED_KEYS = [
  { secretId: "AKIDROTATEDROTATEDROTATEDROTATED0001", secretKey: "rotated-0123456789abcdefghijABCD" },
  { secretId: "AKIDROTATEDROTATEDROTATEDROTATED0002", secretKey: "rotated-ABCDEFGHIJKL0123456789ab" },
] as const;

/** Domain → origin URL, grouped by the mirror's settings. */
export interface LabPlan {
  readonly patient: Readonly<Record<string, string>>;
  readonly short: Readonly<Record<string, string>>;
  readonly silent: Readonly<Record<string, string>>;
  /** Each of these has only one connection to its origin. */
  readonly single: Readonly<Record<string, string>>;
  readonly secure: Readonly<Record<string, string>>;
  /** Origins by host name; only `isHome` ones may resolve to a private address. */
  readonly named: readonly { readonly domain: string; readonly url: string; readonly isHome: boolean }[];
}

export function labSettings(plan: LabPlan, areRotatedKeysEnabled: readonly [boolean, boolean] = [true, true]): object {
  const site = (url: string, more: object = {}) => ({ type: "site", url, allowPrivate: true, ...more });
  const domain = (host: string, timeouts: object, origin: object) => ({
    host,
    mirror: { timeouts, negativeTtl: "300ms", origins: [origin] },
  });
  const each = (urls: Readonly<Record<string, string>>, timeouts: object) =>
    Object.entries(urls).map(([host, url]) => domain(host, timeouts, site(url)));
  const [patientUrl = ""] = Object.values(plan.patient);
  const signed = (host: string) => ({ token: "required", domains: [domain(host, PATIENT_TIMES, site(patientUrl))] });
  return {
    limits: { objectSize: "1MiB" },
    projects: [
      {
        appid: APPID,
        keys: KEYS,
        buckets: [
          {
            name: "photos",
            domains: [
              ...each(plan.patient, PATIENT_TIMES),
              ...each(plan.short, SHORT_TIMES),
              ...each(plan.silent, SILENT_TIMES),
              // Domains with equal mirror settings share one mirror and its one connection, so each domain gets
              // different settings.
              ...Object.entries(plan.single).map(([host, url]) =>
                domain(host, SHORT_TIMES, site(url, { connections: 1, headers: { "X-Lab": host } })),
              ),
              ...each(plan.secure, PATIENT_TIMES),
              ...plan.named.map(({ domain: host, url, isHome }) =>
                domain(host, SHORT_TIMES, site(url, { allowPrivate: isHome })),
              ),
            ],
          },
          { name: "signed", ...signed(SIGNED) },
          { name: "once", oneTimeDownloads: "once", ...signed(ONCE) },
        ],
      },
      {
        appid: ROTATED_APPID,
        keys: ROTATED_KEYS.map((key, index) => ({ ...key, enabled: areRotatedKeysEnabled[index] ?? true })),
        buckets: [{ name: "rotated", ...signed(ROTATED) }],
      },
    ],
  };
}
