// `huiyuan explain`: shows how the server reads a download URL, step by step, and how it would answer.
// It sends no request to an origin, spends no token and changes nothing.
import { type Command, InvalidArgumentError } from "commander";
import { asHuiyuanError } from "../core/errors.ts";
import { loadSettings } from "../settings/load.ts";
import { createAdminClient, isObject } from "./admin-client.ts";
import { type AdminFlags, adminCommand, withServer } from "./admin-command.ts";
import { explanationLines } from "./explanation.ts";
import type { LocalServer } from "./reach-server.ts";
import { shown } from "./shown.ts";
import type { Terminal } from "./terminal.ts";

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
