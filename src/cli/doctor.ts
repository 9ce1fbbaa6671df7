// `huiyuan doctor`: checks an origin with real requests before it is mirrored, reports problems, and proposes settings.
// It stores nothing and changes nothing.
import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { HuiyuanError } from "../core/errors.ts";
import { readVersion } from "../core/version.ts";
import { loadSettings } from "../settings/load.ts";
import type { OriginSettings, Settings } from "../settings/schema/schema.ts";
import { nameOf, probeOrigin } from "../wiring/origins.ts";
import { examine } from "./doctor/examination.ts";
import { type Finding, finding, type Hints, type Notes } from "./doctor/finding.ts";
import { describeFinding, describeSummary, mirrorLines, proposeSettings } from "./doctor/report.ts";
import { readSample } from "./doctor/samples.ts";
import { makeSettings } from "./made-settings.ts";
import { addHeader, createStatusLine, newCommand, shown, stopSignal, type Terminal, wholeNumber } from "./terminal.ts";

interface DoctorFlags {
  readonly allowPrivate: boolean;
  readonly host: string;
  readonly referer: string;
  readonly header: Readonly<Record<string, string>>;
  readonly config?: string;
  readonly seconds: number;
  readonly json: boolean;
}

const HELP = `SAMPLE is the path of an image below the URL, or its whole URL. Name a few: an
old one, a new one, a large one, one with Chinese characters. Without a sample
the command looks for an image on the home page. It sends about twenty requests,
one after another, and reads at most 100 MB.
The exit code is 1 if images would fail or be wrong.

For an origin with credentials (type qiniu or s3, or basicAuth), name the
settings file with --config, and the origin's URL as the settings have it; for
s3 endpoint/region/bucket.

Examples:
  huiyuan doctor https://www.example.com images/2015/cat.jpg
  huiyuan doctor http://10.0.0.7:8000 a.jpg 图片/1.jpg --allow-private --host img.example.com
  huiyuan doctor http://x.clouddn.com cat.jpg --config huiyuan.yaml`;

const MAX_SAMPLES = 20;
const MAX_BODY_BYTES = 20_971_520;
const MAX_TOTAL_BYTES = 100_000_000;
const TIMEOUTS = { connect: 5_000, firstByte: 15_000, idle: 10_000, total: 60_000 };

export function doctorCommand(terminal: Terminal): Command {
  return newCommand(terminal, "doctor", "test an origin and suggest settings", HELP)
    .argument("<origin-url>", "site to test, such as https://www.example.com")
    .argument("[sample...]", "images of the site, as paths or URLs")
    .option("--allow-private", "allow a private address, such as 10.0.0.7", false)
    .option("--host <name>", "send this Host header", "")
    .option("--referer <url>", "send this Referer header", "")
    .option("--header <name: value>", "send this header; may be repeated", addHeader, {})
    .option("-c, --config <file>", "take the origin and its credentials from this settings file")
    .option("--seconds <count>", "stop after this many seconds, 1 to 3600", (text) => wholeNumber(text, 3_600), 120)
    .option("--json", "print one JSON object", false)
    .action(async (url: string, samples: readonly string[], flags: DoctorFlags, self: Command) => {
      if (samples.length > MAX_SAMPLES) self.error(`error: at most ${MAX_SAMPLES} samples are allowed`);
      process.exitCode = await runDoctor(url.replace(/\/+$/, ""), samples, { flags, terminal });
    });
}

async function runDoctor(
  url: string,
  names: readonly string[],
  { flags, terminal }: { readonly flags: DoctorFlags; readonly terminal: Terminal },
): Promise<0 | 1> {
  const settings = await originSettings(url, flags);
  const originUrl = urlOf(settings, url);
  const samples = names.map((name) => readSample(name, originUrl));
  const stopping = stopSignal(terminal);
  const status = createStatusLine(terminal, flags.json);
  const findings: Finding[] = [];
  const late = AbortSignal.timeout(flags.seconds * 1_000);
  const notes: Notes = {
    signal: AbortSignal.any([stopping, late]),
    hints: {},
    say(id, verdict) {
      if (verdict === undefined) return;
      const found = { id, ...verdict };
      findings.push(found);
      status.clear();
      if (!flags.json) terminal.out.write(describeFinding(found, terminal.isInteractive));
    },
    doing: status.show,
  };
  const probe = probeOrigin(settings, {
    timeouts: TIMEOUTS,
    userAgent: `Huiyuan/${readVersion()}`,
    serverId: randomBytes(6).toString("hex"),
    maxBytes: MAX_BODY_BYTES,
    maxTotalBytes: MAX_TOTAL_BYTES,
    signal: notes.signal,
  });
  let isReached = true;
  try {
    const mayTryReferer = settings.type === "site" && settings.referer === "";
    isReached = await examine(probe, { originUrl, samples, mayTryReferer, maxTotalBytes: MAX_TOTAL_BYTES }, notes);
  } catch (error) {
    if (stopping.aborted) return 1;
    if (!late.aborted) throw error;
    notes.say("time", finding.warning(`stopped after ${flags.seconds} s; the rest was not checked`));
  } finally {
    status.clear();
    void probe.close();
  }
  const proposal = isReached ? propose(settings, notes.hints, flags.config !== undefined) : undefined;
  if (flags.json) terminal.out.write(`${JSON.stringify({ origin: nameOf(settings), findings, settings: proposal })}\n`);
  else terminal.out.write(describeSummary(findings, proposal, shown(nameOf(settings))));
  return findings.some(({ severity }) => severity === "problem") ? 1 : 0;
}

/** The origin of a settings file, or one from the flags, which passes the same checks. */
async function originSettings(url: string, flags: DoctorFlags): Promise<OriginSettings> {
  if (flags.config !== undefined) return namedIn(flags.config, url);
  const { host, referer, header: headers, allowPrivate } = flags;
  const origin = { type: "site", url, host, referer, headers, allowPrivate: true };
  const keys = [{ secretId: "doctor", secretKey: "doctor-doctor-doctor-doctor-doctor" }];
  const domains = [{ host: "*", mirror: { origins: [origin] } }];
  const file = {
    server: { port: 0, adminPort: 0 },
    projects: [{ appid: "1", keys, buckets: [{ name: "doctor", domains }] }],
  };
  const [first] = originsOf(makeSettings(file, `Cannot check "${url}"`));
  if (first === undefined) throw new HuiyuanError("internal", "Cannot read the origin that was just written");
  // The dialer checks private addresses, so that names and literal addresses are treated alike.
  return { ...first, allowPrivate };
}

async function namedIn(file: string, name: string): Promise<OriginSettings> {
  const all = originsOf(await loadSettings(file, { env: process.env }));
  const found = all.find((origin) => nameOf(origin).toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const names = [...new Set(all.map(nameOf))].join(", ");
  throw new HuiyuanError("request_invalid", `${file} has no origin "${name}"; there are ${names || "none"}`);
}

function originsOf({ projects }: Settings): readonly OriginSettings[] {
  const domains = projects.flatMap(({ buckets }) => buckets.flatMap((bucket) => bucket.domains));
  return domains.flatMap(({ mirror }) =>
    mirror === undefined ? [] : [mirror, ...mirror.rules].flatMap(({ origins = [] }) => origins),
  );
}

/** The base URL of samples. */
function urlOf(settings: OriginSettings, given: string): string {
  return settings.type === "site" ? settings.url : settings.type === "qiniu" ? settings.domain : given;
}

/**
 * Proposes settings as text. If the origin came from a settings file or is a cloud, the text leaves the origin out,
 * because it may hold secrets.
 */
function propose(settings: OriginSettings, hints: Hints, isFromFile: boolean): string {
  if (isFromFile || settings.type !== "site") return `${mirrorLines(hints).join("\n")}\n`;
  const { url: originUrl, host, referer, headers, allowPrivate } = settings;
  return proposeSettings({ originUrl, host, referer, headers, allowPrivate, hints });
}
