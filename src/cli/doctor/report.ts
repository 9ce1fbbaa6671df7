// Prints the doctor's report: each finding, the summary, and the proposed settings.
import { shown } from "../terminal.ts";
import type { Finding, Hints, Severity } from "./finding.ts";

const LABELS: Readonly<Record<Severity, { readonly sign: string; readonly colour: number }>> = {
  good: { sign: "ok", colour: 32 },
  note: { sign: "note", colour: 36 },
  warning: { sign: "warning", colour: 33 },
  problem: { sign: "PROBLEM", colour: 31 },
};

/** Escapes control characters, because a finding may quote the origin. */
export function describeFinding({ severity, found, means }: Finding, isColoured: boolean): string {
  const { sign, colour } = LABELS[severity];
  const label = isColoured ? `\u001b[${colour}m${sign.padEnd(8)}\u001b[0m` : sign.padEnd(8);
  const explained = means === undefined ? "" : `${" ".repeat(8)} ${shown(means)}\n`;
  return `${label} ${shown(found)}\n${explained}`;
}

export function describeSummary(findings: readonly Finding[], proposal: string | undefined, origin: string): string {
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

export interface ProposalParts {
  readonly originUrl: string;
  readonly allowPrivate: boolean;
  /** Empty for none. */
  readonly host: string;
  readonly referer: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly hints: Hints;
}

/**
 * A whole settings file, which `huiyuan check` accepts. YAML. Texts from outside are written as JSON strings, so they
 * cannot change its structure.
 */
export function proposeSettings(parts: ProposalParts): string {
  return `# Proposed by \`huiyuan doctor ${JSON.stringify(parts.originUrl).slice(1, -1)}\`. Replace the names, then:
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
${proposeMirror(parts, "              ")}
`;
}

/** The lines of a mirror source. */
function proposeMirror(parts: ProposalParts, indent: string): string {
  return [...mirrorLines(parts.hints), ...originLines(parts)].map((line) => indent + line).join("\n");
}

/** Keys beside the origin that should differ from the defaults. */
export function mirrorLines({ type, headMiss, firstByte }: Hints): readonly string[] {
  return [
    ...(type === undefined
      ? ["type: originals # one object a path; queries of clients are not sent"]
      : [`type: ${type} # each URL with its query is its own object`, "maxKeys: 1000000"]),
    ...(headMiss === undefined ? [] : [`headMiss: ${headMiss} # the origin does not answer HEAD properly`]),
    ...(firstByte === undefined ? [] : [`timeouts: { firstByte: ${firstByte / 1_000}s } # the origin is slow`]),
  ];
}

function originLines(parts: ProposalParts): readonly string[] {
  const { originUrl, allowPrivate, host, hints, headers } = parts;
  const referer = parts.referer || hints.referer || "";
  return [
    "origins:",
    "  - type: site",
    `    url: ${JSON.stringify(originUrl)}`,
    ...(host === "" ? [] : [`    host: ${JSON.stringify(host)}`]),
    ...(referer === "" ? [] : [`    referer: ${JSON.stringify(referer)}`]),
    ...(Object.keys(headers).length === 0
      ? []
      : [`    headers: ${JSON.stringify(headers)} # write secrets as env:NAME`]),
    ...(allowPrivate ? ["    allowPrivate: true # this host and port are in a private network"] : []),
  ];
}
