// Part of the composition root: tests an origin with real requests, for `huiyuan doctor` and the admin API. Every dial
// is guarded as the mirror's are. It stores nothing.
import { randomBytes } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import { readVersion } from "../../core/version.ts";
import { nameOf, probeOrigin } from "../../serve/wiring/origins.ts";
import { makeSettings } from "../../settings/made-settings.ts";
import type { OriginSettings, Settings } from "../../settings/schema/schema.ts";
import type { EntryToExamine, Examination, ExaminationLimits, ExamineSite } from "./doctor.ts";
import { type ExaminationOptions, examine } from "./examination.ts";
import { finding, type Hints, type Notes } from "./finding.ts";
import { mirrorLines, proposeSettings } from "./proposal.ts";
import { readSample } from "./samples.ts";

const MAX_BODY_BYTES = 20_971_520;
const MAX_TOTAL_BYTES = 100_000_000;
const TIMEOUTS = { connect: 5_000, firstByte: 15_000, idle: 10_000, total: 60_000 };

/** Tests a web site, or an entry of `origins`; env: and file: in it are refused. */
export const examineSite: ExamineSite = (site, samples) => {
  if ("entry" in site) return examineOrigin(settingsOf(site.entry, "the origin"), "", samples);
  const { url, host, referer, headers, allowPrivate } = site;
  const settings = settingsOf({ type: "site", url, host, referer, headers, allowPrivate }, `"${url}"`);
  const run = prepare(settings, url, samples);
  return async (limits, notes) => {
    const { hints, ...examined } = await run(limits, notes);
    const proposal = hints && proposeSettings({ originUrl: url, host, referer, headers, allowPrivate, hints });
    return { ...examined, proposal };
  };
};

/**
 * Tests an origin of a settings file. `url`: the base URL of samples of a cloud. The proposal leaves the origin out,
 * because it may hold secrets.
 */
export function examineOrigin(settings: OriginSettings, url: string, samples: readonly string[]): Examination {
  const run = prepare(settings, url, samples);
  return async (limits, notes) => {
    const { hints, ...examined } = await run(limits, notes);
    return { ...examined, proposal: hints && `${mirrorLines(hints).join("\n")}\n` };
  };
}

type Run = (...run: Parameters<Examination>) => Promise<{ readonly name: string; readonly hints: Hints | undefined }>;

/** `hints` of the result: undefined if the origin was not reached. */
function prepare(settings: OriginSettings, url: string, samples: readonly string[]): Run {
  const originUrl = settings.type === "site" ? settings.url : settings.type === "qiniu" ? settings.domain : url;
  const read = samples.map((name) => readSample(name, originUrl));
  return (limits, notes) => run(settings, { originUrl, samples: read }, { limits, notes });
}

async function run(
  settings: OriginSettings,
  subject: Pick<ExaminationOptions, "originUrl" | "samples">,
  { limits, notes }: { readonly limits: ExaminationLimits; readonly notes: Parameters<Run>[1] },
): ReturnType<Run> {
  const { seconds, signal: stopping } = limits;
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
    const mayTryReferer = settings.type === "site" && settings.referer === "";
    isReached = await examine(probe, { ...subject, mayTryReferer, maxTotalBytes: MAX_TOTAL_BYTES }, all);
  } catch (error) {
    if (stopping.aborted || !late.aborted) throw error;
    notes.say("time", finding.warning(`stopped after ${seconds} s; the rest was not checked`));
  } finally {
    void probe.close();
  }
  return { name: nameOf(settings), hints: isReached ? all.hints : undefined };
}

/** Settings of the origin, which pass the same checks as those of a file. `name` is for messages. */
function settingsOf({ allowPrivate, ...entry }: EntryToExamine["entry"], name: string): OriginSettings {
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
