// `huiyuan explain`: shows how the server reads a download URL, step by step, and how it would answer.
// It asks no origin for the image and spends no token.
import type { Command } from "commander";
import { adminCommand, withServer } from "../cli/admin-command.ts";
import type { AdminFlags } from "../cli/reach-server.ts";
import { addHeader, shown, type Terminal } from "../cli/terminal.ts";
import type { Explanation, explainUrl } from "./contract.ts";

interface ExplainFlags extends AdminFlags {
  readonly method: string;
  readonly header: Readonly<Record<string, string>>;
}

const HELP = `Shows the domain, the bucket, the key, the token's verdict, what is stored, and
the request that the origin would get. Nothing is fetched, and no one-time token
is spent. Quote the URL, because it may contain & and !.
If no server runs, the command opens the data folder like a starting server:
pending images are stored, and due callbacks are sent.
The exit code is 1 if the request would be refused.

Examples:
  huiyuan explain 'http://img.example.com/2015/cat.jpg!small'
  huiyuan explain 'http://localhost:8080/cat.jpg' --header 'Host: img.example.com'
  huiyuan explain http://img.example.com/cat.jpg --method HEAD --json`;

export function explainCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "explain", HELP)
    .argument("<url>", "URL, as a client requests it")
    .option("--method <method>", "method of the request", "GET")
    .option("--header <name: value>", "header of the request; may be repeated", addHeader, {})
    .action(async (url: string, { method, header: headers, ...flags }: ExplainFlags) => {
      await withServer(flags, terminal, async ({ client, show }) => {
        const found = await client.call<typeof explainUrl>("post /explain", {
          url,
          method: method.toUpperCase(),
          headers,
        });
        await show(found, explanationLines(found).map(shown).join("\n"));
        return (found.answer?.status ?? 0) >= 400 ? 1 : 0;
      });
    });
}

/** Writes the answer of /api/v1/explain as lines of text, one a step, in the order of the server. */
function explanationLines(found: Explanation): readonly string[] {
  if (found.isRestApi === true) return ["This is a call of the REST API, not a download."];
  if (found.isHealthPath === true) return ["health path, no download"];
  const { path, key, referer, token, origin = [] } = found;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["domain", domainOf(found)],
    ["path", path],
    ["query", queryOf(found)],
    ["recipe", recipeOf(found)],
    ["key", key],
    ["Referer", referer && REFERERS[referer]],
    ["token", token && tokenOf(token)],
    ["rule", ruleOf(found)],
    ["stored", storedOf(found.stored)],
    ["original", storedOf(found.originalStored)],
  ];
  return [
    ...rows.flatMap(([label, value]) => (value === undefined ? [] : [line(label, value)])),
    ...origin.flatMap(fetchLines),
    line("answer", answerOf(found)),
  ];
}

const line = (label: string, text: string) => `${label.padEnd(9)} ${text}`;

function domainOf({ domain, bucket, isMirrored }: Explanation): string | undefined {
  if (domain === undefined) return undefined;
  const name = domain === "*" ? "* (any host that no other domain names)" : domain;
  return `${name}, bucket ${bucket}${isMirrored ? "" : "; it has no mirror, so nothing is fetched from an origin"}`;
}

function queryOf({ query, recipe, alias, answer }: Explanation): string | undefined {
  const isRefused = answer?.code === "processing_refused" || answer?.code === "processing_invalid";
  const meaning = isRefused ? " (refused)" : recipe === undefined || alias !== undefined ? " (no processing)" : "";
  return query && `${query}${meaning}`;
}

function recipeOf({ recipe, alias, original }: Explanation): string | undefined {
  if (recipe === undefined) return undefined;
  const made = `${recipe}, made from ${original}`;
  return alias === undefined ? made : `alias "${alias}", unless an object is stored under the key: ${made}`;
}

const REFERERS: Readonly<Record<NonNullable<Explanation["referer"]>, string | undefined>> = {
  off: undefined,
  allowed: "allowed",
  listed: "on the list, so no token is required",
  refused: "refused by the bucket's list",
};

function tokenOf(token: NonNullable<Explanation["token"]>): string {
  const { verdict, kind, expiresInSeconds, isSpent, code, message } = token;
  if (verdict === "off") return "not required (token: off)";
  if (verdict === "unseen") return "not checked";
  if (verdict === "refused") return `refused: ${message} (${code})`;
  if (kind === "signed") return `good for ${expiresInSeconds} s`;
  if (isSpent !== undefined) return `a one-time token, ${isSpent ? "spent already" : "not spent yet"}`;
  return "a one-time token, which this bucket accepts any number of times";
}

function ruleOf({ rule }: Explanation): string | undefined {
  if (rule === undefined) return undefined;
  const { index, action, type, match } = rule;
  if (index === undefined) return `no rule matches: the domain's own settings, ${type}`;
  return `rules[${index}] ${JSON.stringify(match)}: ${action}, ${type}`;
}

function storedOf(stored: Explanation["stored"]): string | undefined {
  if (stored === undefined) return undefined;
  const { isInMemory, isStale, isQueued, failure, object, tombstone } = stored;
  if (tombstone !== undefined) return `deleted at ${tombstone.deletedAt}: ${tombstone.reason}`;
  if (object === undefined) return failure === undefined ? "no" : `unknown, the store failed (${failure})`;
  const more = [isInMemory && "in memory", isStale && "purged", isQueued && "pending for the remote store"];
  const what = `${object.mediaType}, ${object.size} bytes, since ${object.storedAt}`;
  return [what, ...more.filter((part) => typeof part === "string")].join(", ");
}

type Fetch = NonNullable<Explanation["origin"]>[number];

const REASONS: Readonly<Record<Fetch["why"], string>> = {
  miss: "is requested, and the client waits",
  refresh: "is requested for a newer version, and the client waits",
  behind: "is requested in the background",
};

function fetchLines({ why, key, isStored, isRunning, refusal, requests }: Fetch): readonly string[] {
  const storing = isStored ? `stored as ${key}` : "not stored";
  const how =
    refusal !== undefined
      ? `is not requested: ${refusal.message} (${refusal.code})`
      : isRunning
        ? `has a running request: the client waits for the same answer; ${storing}`
        : `${REASONS[why]}; ${storing}`;
  return [line("origin", how), ...requests.flatMap(requestLines)];
}

function requestLines(request: Fetch["requests"][number], index: number): readonly string[] {
  const { method, url, headers, isStandby, weight = 0, refusal } = request;
  const notes = [
    ...(index > 0 ? ["if the previous one fails"] : []),
    ...(isStandby === true ? ["standby"] : []),
    ...(weight > 0 ? [`weight ${weight}`] : []),
    ...(refusal === undefined ? [] : [`skipped: ${refusal.message}`]),
  ];
  return [
    line("", `${method} ${url}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`),
    ...headers.map((pair) => line("", `  ${pair.join(": ")}`)),
  ];
}

function answerOf({ answer, rule, origin = [] }: Explanation): string {
  if (answer === undefined) return "unknown";
  const { status, from, code, errNo, message, location, cacheStatus } = answer;
  if (from === "renderer") return "200, processed now, unless the original cannot be processed";
  if (from === "origin" && status === undefined) {
    const missing = rule?.fallback === undefined ? "404" : `${rule.fallback.status} with ${rule.fallback.key}`;
    const refresh = origin.find(({ why }) => why === "refresh");
    if (refresh === undefined)
      return `depends on the origin: 200 with a whole image, ${missing} if it has none, else 424`;
    const failed = refresh.mayServeStale === true ? "" : ", 424 if it fails";
    return `200 with the stored image or the origin's newer one${failed}; with onGone: remove, ${missing} if it has none`;
  }
  const setting = code === "processing_refused" ? "; the bucket has `processing: aliases`" : "";
  if (code !== undefined) return `${status}, X-ErrNo ${errNo}: ${message} (${code})${setting}`;
  if (location !== undefined) return `${status} to ${location}`;
  return `${status}${cacheStatus === undefined ? "" : `, ${cacheStatus}`}`;
}
