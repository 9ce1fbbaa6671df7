// The settings that fit what was found, as a whole file that `check` takes and `serve` runs. Pure.
import type { Hints } from "./finding.ts";

export interface ProposalParts {
  readonly originUrl: string;
  readonly allowPrivate: boolean;
  /** Empty for none. */
  readonly host: string;
  readonly referer: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly hints: Hints;
}

/** YAML. Every text from outside stands in it as JSON writes it. */
export function proposeSettings(parts: ProposalParts): string {
  return `# Proposed by \`huiyuan doctor ${oneLine(parts.originUrl)}\`. Put your own names in, then:
#   huiyuan keys new                        # the SecretID goes below, the SecretKey into HUIYUAN_SECRET_KEY
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
          - host: "*" # any host that leads here; your image domain in the end
            mirror:
${proposeMirror(parts, "              ")}
`;
}

/** The lines of a mirror source. */
function proposeMirror(parts: ProposalParts, indent: string): string {
  return [...mirrorLines(parts.hints), ...originLines(parts)].map((line) => indent + line).join("\n");
}

/** What beside the origin should differ from the defaults; none for an ordinary origin. */
export function mirrorLines({ type, headMiss, firstByte }: Hints): readonly string[] {
  return [
    ...(type === undefined
      ? ["type: originals # one object a path; clients' queries are not sent"]
      : [`type: ${type} # each URL with its query is an object of its own`, "maxKeys: 1000000"]),
    ...(headMiss === undefined ? [] : [`headMiss: ${headMiss} # the origin does not answer HEAD as it should`]),
    ...(firstByte === undefined ? [] : [`timeouts: { firstByte: ${firstByte / 1_000}s } # it is slow`]),
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
      : [`    headers: ${JSON.stringify(headers)} # secrets are better as env:NAME`]),
    ...(allowPrivate
      ? ["    allowPrivate: true # this host and port lie in a private network, and that is meant"]
      : []),
  ];
}

function oneLine(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
