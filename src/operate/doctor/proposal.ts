// The settings that the doctor proposes for an origin, as YAML text.
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
