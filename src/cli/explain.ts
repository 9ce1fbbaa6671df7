// `huiyuan explain`: shows how the server reads a download URL, step by step, and how it would answer.
// It sends no request to an origin, spends no token and changes nothing.
import { type Command, InvalidArgumentError } from "commander";
import { asHuiyuanError } from "../core/errors.ts";
import { loadSettings } from "../settings/load.ts";
import { adminCommand, withServer } from "./admin-command.ts";
import { type AdminFlags, createAdminClient, type Fields, isObject, type LocalServer } from "./reach-server.ts";
import { shown, type Terminal } from "./terminal.ts";

interface ExplainFlags extends AdminFlags {
  readonly method: string;
  readonly header: Readonly<Record<string, string>>;
}

const HELP = `The URL is read exactly like a client's request. Without a running server only the settings are used: stored objects, spent
one-time tokens and the state of origins are unknown then. Quote the URL, because it may contain & and !.

The exit code is 1 if the request would be refused.

Examples:
  huiyuan explain 'http://img.example.com/2015/cat.jpg!small'
  huiyuan explain 'http://localhost:8080/cat.jpg?sign=…' --header 'Host: img.example.com' --header 'Referer: http://a.example/'
  huiyuan explain http://img.example.com/cat.jpg --method HEAD --json`;

export function explainCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "explain", "explain a download URL and its answer", HELP)
    .argument("<url>", "the URL as a client requests it")
    .option("--method <method>", "method of the request", "GET")
    .option("--header <name: value>", "a header of the request; may be given again", addHeader, {})
    .action(async (url: string, { method, header: headers, ...flags }: ExplainFlags) => {
      await withServer(
        flags,
        terminal,
        async ({ client, print, printJson }) => {
          const found = await client.post("/explain", { url, method: method.toUpperCase(), headers });
          if (flags.json) await printJson(found);
          else for (const line of explanationLines(found)) await print(shown(line));
          return isRefused(found) ? 1 : 0;
        },
        openSettings,
      );
    });
}

function isRefused(found: unknown): boolean {
  const answer = isObject(found) && isObject(found.answer) ? found.answer : {};
  return typeof answer.status === "number" && answer.status >= 400;
}

/** Explains from the settings alone. The only secrets that it needs are the key pairs, for tokens. */
const openSettings: LocalServer = async ({ config }) => {
  const [{ dryRunSites }, { explain }] = await Promise.all([
    import("../wiring/dry-run-sites.ts"),
    import("../http/api/explain.ts"),
  ]);
  const settings = await loadSettings(config, { env: process.env, needs: "keys" });
  const parts = { sites: dryRunSites(settings, Date.now), healthPath: settings.server.healthPath };
  const client = createAdminClient(async (_path, { body }) => {
    try {
      return Response.json({ ...(await explain(JSON.parse(String(body)), parts)), isFromSettings: true });
    } catch (error) {
      return Response.json({ message: asHuiyuanError(error).message }, { status: 400 });
    }
  });
  return { client, async close() {} };
};

function addHeader(text: string, headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name = "", value = ""] = /^([^:\s]+):\s*(.*?)\s*$/.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError('It must be a header such as "Referer: http://a.example/".');
  return { ...headers, [name.toLowerCase()]: value };
}

/** Writes the answer of /api/v1/explain as lines of text, one a step, in the order of the server. */
function explanationLines(found: unknown): readonly string[] {
  if (!isObject(found)) return [];
  if (found.isRestApi === true) return ["This is a call of the REST API, not a download."];
  if (found.isHealthPath === true) return ["health path, no download"];
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["domain", domainOf(found)],
    ["path", textOf(found.path)],
    ["query", queryOf(found)],
    ["recipe", recipeOf(found)],
    ["key", textOf(found.key)],
    ["Referer", REFERERS[String(found.referer)]],
    ["token", tokenOf(found.token)],
    ["rule", ruleOf(found)],
    ["stored", storedOf(found)],
  ];
  const known = rows.flatMap(([label, value]) => (value === undefined ? [] : [line(label, value)]));
  return [...known, ...originLines(found.origin), line("answer", answerOf(found)), ...limitLines(found)];
}

const line = (label: string, text: string) => `${label.padEnd(9)} ${text}`;
const textOf = (value: unknown) => (value === undefined ? undefined : String(value));

function domainOf({ domain, bucket, isMirrored }: Fields): string | undefined {
  if (domain === undefined) return undefined;
  const name = domain === "*" ? "* (any host that no other domain names)" : String(domain);
  return `${name}, bucket ${bucket}${isMirrored === true ? "" : "; it has no mirror, so nothing is fetched from an origin"}`;
}

function queryOf({ query, recipe, alias }: Fields): string | undefined {
  if (query === undefined) return undefined;
  return `${query}${recipe === undefined || alias !== undefined ? " (no processing)" : ""}`;
}

function recipeOf({ recipe, alias, original }: Fields): string | undefined {
  if (recipe === undefined) return undefined;
  const made = `${recipe}, made from ${original}`;
  return alias === undefined ? made : `alias "${alias}", unless an object has exactly this name: ${made}`;
}

const REFERERS: Readonly<Record<string, string>> = {
  allowed: "allowed",
  listed: "on the list, so no token is required",
  refused: "refused by the bucket's list",
};

function tokenOf(token: unknown): string | undefined {
  if (!isObject(token)) return undefined;
  const { verdict, kind, expiresInSeconds, isSpent, code, message } = token;
  if (verdict === "off") return "not required (token: off)";
  if (verdict === "unseen") return "not checked";
  if (verdict === "refused") return `refused: ${message} (${code})`;
  if (kind === "signed") return `good for ${expiresInSeconds} s`;
  if (isSpent !== undefined) return `a one-time token, ${isSpent === true ? "spent already" : "not spent yet"}`;
  return "a one-time token, which this bucket accepts any number of times";
}

function ruleOf({ rule }: Fields): string | undefined {
  if (!isObject(rule)) return undefined;
  const { index, action, type, match } = rule;
  if (index === undefined) return `no rule matches: the domain's own settings, ${type}`;
  return `rules[${index}] ${JSON.stringify(match)}: ${action}, ${type}`;
}

function storedOf({ stored, isFromSettings }: Fields): string | undefined {
  if (!isObject(stored) || isFromSettings === true) return undefined;
  const { state, isInMemory, isStale, isQueued, failure, object, tombstone } = stored;
  if (state === "tombstone" && isObject(tombstone)) return `deleted at ${tombstone.deletedAt}: ${tombstone.reason}`;
  if (state !== "object" || !isObject(object))
    return failure === undefined ? "no" : `unknown, the store failed (${failure})`;
  const more = [
    ...(isInMemory === true ? ["in memory"] : []),
    ...(isStale === true ? ["purged"] : []),
    ...(isQueued === true ? ["pending for the remote store"] : []),
  ];
  return [`${object.mediaType}, ${object.size} bytes, since ${object.storedAt}`, ...more].join(", ");
}

const REASONS: Readonly<Record<string, string>> = {
  miss: "is requested, and the client waits",
  refresh: "is requested for a newer version, and the client waits",
  behind: "is requested in the background",
};

function originLines(asks: unknown): readonly string[] {
  if (!Array.isArray(asks)) return [];
  return asks.filter(isObject).flatMap(({ why, key, isStored, isRunning, refusal, requests }) => {
    const storing = isStored === true ? `stored as ${key}` : "not stored";
    const how = isObject(refusal)
      ? `is not requested: ${refusal.message} (${refusal.code})`
      : isRunning === true
        ? `has a running request: the client waits for the same answer; ${storing}`
        : `${REASONS[String(why)]}; ${storing}`;
    const all = Array.isArray(requests) ? requests.filter(isObject) : [];
    return [line("origin", how), ...all.flatMap(requestLines)];
  });
}

function requestLines(request: Fields, index: number): readonly string[] {
  const { method, url, headers, isStandby, weight, refusal } = request;
  const notes = [
    ...(index > 0 ? ["if the previous one fails"] : []),
    ...(isStandby === true ? ["standby"] : []),
    ...(typeof weight === "number" && weight > 0 ? [`weight ${weight}`] : []),
    ...(isObject(refusal) ? [`skipped: ${refusal.message}`] : []),
  ];
  const pairs: readonly unknown[] = Array.isArray(headers) ? headers : [];
  return [
    line("", `${method} ${url}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`),
    ...pairs.map((pair) => line("", `  ${Array.isArray(pair) ? pair.join(": ") : ""}`)),
  ];
}

function answerOf({ answer, rule }: Fields): string {
  if (!isObject(answer)) return "unknown";
  const { status, from, code, errNo, message, location, cacheStatus } = answer;
  if (from === "renderer") return "200, processed now, unless the original cannot be processed";
  if (from === "origin" && status === undefined) {
    const fallback = isObject(rule) && isObject(rule.fallback) ? rule.fallback : undefined;
    const missing = fallback === undefined ? "404" : `${fallback.status} with ${fallback.key}`;
    return `depends on the origin: 200 with a whole image, ${missing} if it has none, else 424`;
  }
  if (code !== undefined) return `${status}, X-ErrNo ${errNo}: ${message} (${code})`;
  if (location !== undefined) return `${status} to ${location}`;
  return `${status}${cacheStatus === undefined ? "" : `, ${cacheStatus}`}`;
}

function limitLines({ isFromSettings }: Fields): readonly string[] {
  if (isFromSettings !== true) return [];
  return ["", "No server answers, so stored objects, spent one-time tokens and the state of origins are unknown."];
}
