// `huiyuan doctor`: checks an origin with real requests before it is mirrored, reports problems, and proposes settings.
// It stores nothing and changes nothing.

import type { Command } from "commander";
import { HuiyuanError } from "../../core/errors.ts";
import { nameOf } from "../../serve/wiring/origins.ts";
import { loadSettings } from "../../settings/load.ts";
import type { OriginSettings } from "../../settings/schema/schema.ts";
import { addHeader, newCommand, shown, stopSignal, type Terminal, wholeNumber } from "../cli/terminal.ts";
import type { Finding, Severity } from "./finding.ts";
import { type Examination, type Examined, examineOrigin, examineSite, originsOf } from "./service.ts";

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

export function doctorCommand(terminal: Terminal): Command {
  return newCommand(terminal, "doctor", HELP)
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
  samples: readonly string[],
  { flags, terminal }: { readonly flags: DoctorFlags; readonly terminal: Terminal },
): Promise<0 | 1> {
  const stopping = stopSignal(terminal);
  const findings: Finding[] = [];
  const notes: Parameters<Examination>[1] = {
    say(id, verdict) {
      if (verdict === undefined) return;
      const found = { id, ...verdict };
      findings.push(found);
      if (!flags.json) terminal.out.write(describeFinding(found, terminal.isInteractive));
    },
  };
  const { config, header: headers, ...site } = flags;
  const run =
    config === undefined
      ? examineSite({ url, headers, ...site }, samples)
      : examineOrigin(await namedIn(config, url), url, samples);
  let examined: Examined;
  try {
    examined = await run({ seconds: flags.seconds, signal: stopping }, notes);
  } catch (error) {
    if (stopping.aborted) return 1;
    throw error;
  }
  const { name, proposal } = examined;
  if (flags.json) terminal.out.write(`${JSON.stringify({ origin: name, findings, settings: proposal })}\n`);
  else terminal.out.write(describeSummary(findings, proposal, shown(name)));
  return findings.some(({ severity }) => severity === "problem") ? 1 : 0;
}

async function namedIn(file: string, name: string): Promise<OriginSettings> {
  const all = originsOf(await loadSettings(file, { env: process.env }));
  const found = all.find((origin) => nameOf(origin).toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const names = [...new Set(all.map(nameOf))].join(", ");
  throw new HuiyuanError("request_invalid", `${file} has no origin "${name}"; there are ${names || "none"}`);
}

const LABELS: Readonly<Record<Severity, { readonly sign: string; readonly colour: number }>> = {
  good: { sign: "ok", colour: 32 },
  note: { sign: "note", colour: 36 },
  warning: { sign: "warning", colour: 33 },
  problem: { sign: "PROBLEM", colour: 31 },
};

/** Escapes control characters, because a finding may quote the origin. */
function describeFinding({ severity, found, means }: Finding, isColoured: boolean): string {
  const { sign, colour } = LABELS[severity];
  const label = isColoured ? `\u001b[${colour}m${sign.padEnd(8)}\u001b[0m` : sign.padEnd(8);
  const explained = means === undefined ? "" : `${" ".repeat(8)} ${shown(means)}\n`;
  return `${label} ${shown(found)}\n${explained}`;
}

function describeSummary(findings: readonly Finding[], proposal: string | undefined, origin: string): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const verdict =
    problems > 0
      ? "Images would fail or be wrong: fix the problems first."
      : warnings > 0
        ? "The origin can be mirrored; read the warnings."
        : "The origin can be mirrored as it is.";
  return `
${origin}: ${problems} problem${problems === 1 ? "" : "s"}, ${warnings} warning${warnings === 1 ? "" : "s"}. ${verdict}
${proposal === undefined ? "" : `\nProposed settings:\n\n${proposal}`}`;
}
