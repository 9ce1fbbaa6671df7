// Part of the composition root: tests an origin with real requests, for `huiyuan doctor` and the admin API, and
// proposes settings for it. Every dial is guarded as the mirror's are. It stores nothing.
import { randomBytes } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import { readVersion } from "../../core/version.ts";
import { nameOf, probeOrigin } from "../../serve/wiring/origins.ts";
import { makeSettings } from "../../settings/load.ts";
import type { OriginSettings, Settings } from "../../settings/schema/schema.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import type { examineOrigin as examineCall } from "./contract.ts";
import { examine } from "./examination.ts";
import { finding, type Hints, type Notes } from "./finding.ts";
import { readSample } from "./samples.ts";

/** A web site that is to be configured as an origin. Empty: the Host of the URL, and no Referer. */
export interface SiteToExamine
  extends Pick<InputOf<typeof examineCall>, "host" | "referer" | "headers" | "allowPrivate"> {
  /** http or https, without a final slash. */
  readonly url: string;
}

export interface Examined {
  /** The origin's name, without credentials. */
  readonly name: string;
  /** The proposed settings in YAML; undefined: the origin was not reached. */
  readonly proposal: string | undefined;
}

/**
 * Findings are told while the checks run. What is not checked after these seconds is left out. Throws the reason of the
 * signal.
 */
export type Examination = (
  limits: { readonly seconds: number; readonly signal: AbortSignal },
  notes: Pick<Notes, "say">,
) => Promise<Examined>;

const MAX_BODY_BYTES = 20_971_520;
const MAX_TOTAL_BYTES = 100_000_000;
const TIMEOUTS = { connect: 5_000, firstByte: 15_000, idle: 10_000, total: 60_000 };

/**
 * Tests a web site. `samples`: paths below the site, or URLs; if empty, the home page is searched for an image. Throws
 * request_invalid and settings_invalid, and sends nothing before the result is called.
 */
export function examineSite(site: SiteToExamine, samples: readonly string[]): Examination {
  const { url, host, referer, headers, allowPrivate } = site;
  const settings = settingsOf({ type: "site", url, host, referer, headers, allowPrivate }, `"${url}"`);
  return examineOrigin(settings, url, samples, (hints) => proposeSettings(site, hints));
}

/** Tests an entry of `origins`, with its keys; env: and file: in it are refused. As examineSite(). */
export function examineEntry(entry: Readonly<Record<string, unknown>>, samples: readonly string[]): Examination {
  return examineOrigin(settingsOf(entry, "the origin"), "", samples);
}

/**
 * Tests an origin of a settings file. `url`: the base URL of samples of a cloud. The proposal leaves the origin out,
 * because it may hold secrets. As examineSite().
 */
export function examineOrigin(
  settings: OriginSettings,
  url: string,
  samples: readonly string[],
  propose = (hints: Hints) => `${mirrorLines(hints).join("\n")}\n`,
): Examination {
  const originUrl = settings.type === "site" ? settings.url : settings.type === "qiniu" ? settings.domain : url;
  const read = samples.map((name) => readSample(name, originUrl));
  const mayTryReferer = settings.type === "site" && settings.referer === "";
  const options = { originUrl, samples: read, mayTryReferer, maxTotalBytes: MAX_TOTAL_BYTES };
  return async ({ seconds, signal: stopping }, notes) => {
    const late = AbortSignal.timeout(seconds * 1_000);
    const all: Notes = { signal: AbortSignal.any([stopping, late]), hints: {}, ...notes };
    const probe = probeOrigin(settings, {
      timeouts: TIMEOUTS,
      userAgent: `Huiyuan/${readVersion()}`,
      serverId: randomBytes(6).toString("hex"),
      maxBytes: MAX_BODY_BYTES,
      maxTotalBytes: MAX_TOTAL_BYTES,
      signal: all.signal,
    });
    let isReached = true;
    try {
      isReached = await examine(probe, options, all);
    } catch (error) {
      if (stopping.aborted || !late.aborted) throw error;
      notes.say("time", finding.warning(`stopped after ${seconds} s; the rest was not checked`));
    } finally {
      void probe.close();
    }
    return { name: nameOf(settings), proposal: isReached ? propose(all.hints) : undefined };
  };
}

/** Settings of the origin, which pass the same checks as those of a file. `name` is for messages. */
function settingsOf({ allowPrivate, ...entry }: Readonly<Record<string, unknown>>, name: string): OriginSettings {
  const origin = { ...entry, allowPrivate: true };
  const keys = [{ secretId: "doctor", secretKey: "doctor-doctor-doctor-doctor-doctor" }];
  const domains = [{ host: "*", mirror: { origins: [origin] } }];
  const file = {
    server: { port: 0, adminPort: 0 },
    projects: [{ appid: "1", keys, buckets: [{ name: "doctor", domains }] }],
  };
  const [first] = originsOf(makeSettings(file, `Cannot check ${name}`));
  if (first === undefined) throw new HuiyuanError("internal", "Cannot read the origin that was just written");
  // The dialer checks private addresses, so that names and literal addresses are treated alike.
  return { ...first, allowPrivate: allowPrivate === true };
}

/** All origins of the settings, also those of rules. */
export function originsOf({ projects }: Settings): readonly OriginSettings[] {
  const domains = projects.flatMap(({ buckets }) => buckets.flatMap((bucket) => bucket.domains));
  return domains.flatMap(({ mirror }) =>
    mirror === undefined ? [] : [mirror, ...mirror.rules].flatMap(({ origins = [] }) => origins),
  );
}

/**
 * A whole settings file, which `huiyuan check` accepts. YAML. Texts from outside are written as JSON strings, so they
 * cannot change its structure.
 */
function proposeSettings({ url, allowPrivate, host, referer: given, headers }: SiteToExamine, hints: Hints): string {
  const referer = given || hints.referer || "";
  const origin = [
    "origins:",
    "  - type: site",
    `    url: ${JSON.stringify(url)}`,
    ...(host === "" ? [] : [`    host: ${JSON.stringify(host)}`]),
    ...(referer === "" ? [] : [`    referer: ${JSON.stringify(referer)}`]),
    ...(Object.keys(headers).length === 0
      ? []
      : [`    headers: ${JSON.stringify(headers)} # write secrets as env:NAME`]),
    ...(allowPrivate ? ["    allowPrivate: true # this host and port are in a private network"] : []),
  ];
  return `# Proposed by \`huiyuan doctor ${JSON.stringify(url).slice(1, -1)}\`. Replace the names, then:
#   huiyuan keys new                        # SecretID: below, SecretKey: HUIYUAN_SECRET_KEY
#   huiyuan check --config huiyuan.yaml
#   huiyuan serve --config huiyuan.yaml
data: ./data
projects:
  - appid: "10001234"
    keys:
      - { secretId: AKIDEXAMPLE, secretKey: env:HUIYUAN_SECRET_KEY }
    buckets:
      - name: photos
        domains:
          - host: "*" # any host; replace it by your image domain
            mirror:
${[...mirrorLines(hints), ...origin].map((line) => `              ${line}`).join("\n")}
`;
}

/** Keys beside the origin that should differ from the defaults. */
function mirrorLines({ type, headMiss, firstByte }: Hints): readonly string[] {
  return [
    ...(type === undefined
      ? ["type: originals # one object a path; queries of clients are not sent"]
      : [`type: ${type} # each URL with its query is its own object`, "maxKeys: 1000000"]),
    ...(headMiss === undefined ? [] : [`headMiss: ${headMiss} # the origin does not answer HEAD properly`]),
    ...(firstByte === undefined ? [] : [`timeouts: { firstByte: ${firstByte / 1_000}s } # the origin is slow`]),
  ];
}
