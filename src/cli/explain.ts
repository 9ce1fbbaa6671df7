// `huiyuan explain`: what a download URL means to the server, step by step, and how it would be answered. It asks no origin,
// spends no token and changes nothing.
import { type Command, InvalidArgumentError } from "commander";
import { asHuiyuanError } from "../core/errors.ts";
import { loadSettings } from "../settings/load.ts";
import { createAdminClient, isObject } from "./admin-client.ts";
import { type AdminFlags, adminCommand, withServer } from "./admin-command.ts";
import { tellExplanation } from "./explanation.ts";
import type { Alone } from "./reach-server.ts";
import { shown } from "./shown.ts";
import type { Terminal } from "./terminal.ts";

interface ExplainFlags extends AdminFlags {
  readonly method: string;
  readonly header: Readonly<Record<string, string>>;
}

const HELP = `The URL is read exactly as a client's request is. With a running server everything is known; without one only the settings are:
what is stored, which one-time tokens are spent and how the origins are is then left open. Quote the URL: it may hold & and !.

Ends with 1 where the request would be refused.

Examples:
  huiyuan explain 'http://img.example.com/2015/cat.jpg!small'
  huiyuan explain 'http://localhost:8080/cat.jpg?sign=…' --header 'Host: img.example.com' --header 'Referer: http://a.example/'
  huiyuan explain http://img.example.com/cat.jpg --method HEAD --json`;

export function explainCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "explain", "say what a download URL means, and how it would be answered", HELP)
    .argument("<url>", "the URL as a client asks for it")
    .option("--method <method>", "of the request", "GET")
    .option("--header <name: value>", "a header of the request; may be given again", addHeader, {})
    .action(async (url: string, { method, header: headers, ...flags }: ExplainFlags) => {
      await withServer(
        flags,
        terminal,
        async ({ client, print, printJson }) => {
          const found = await client.post("/explain", { url, method: method.toUpperCase(), headers });
          if (flags.json) await printJson(found);
          else for (const line of tellExplanation(found)) await print(shown(line));
          return isRefused(found) ? 1 : 0;
        },
        settingsAlone,
      );
    });
}

function isRefused(found: unknown): boolean {
  const answer = isObject(found) && isObject(found.answer) ? found.answer : {};
  return typeof answer.status === "number" && answer.status >= 400;
}

/** Of secrets only those are needed that tokens are checked with. */
const settingsAlone: Alone = async ({ config }) => {
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
