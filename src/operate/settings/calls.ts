// Admin API calls for the settings file: read it without secrets, propose and apply edits, and change the key pairs of
// projects. settings/edit/ does the work. An answer has a new secretKey once, and no other secret.
import type { Context } from "hono";
import type { Log } from "../../core/log.ts";
import { describedSchema } from "../../settings/described-schema.ts";
import type { AppliedSettings, SettingsFile } from "../../settings/edit/settings-file.ts";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";
import { auditOf, loggedName, problemOf, unlessFailed } from "../admin/audit.ts";
import { type ApiEnv, type Calls, jsonAnswer } from "../admin/calls.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import { invalid } from "../admin/input.ts";
import {
  addKey,
  applySettings,
  listKeys,
  proposeSettings,
  removeKey,
  rotateKey,
  showSchema,
  showSettings,
} from "./contract.ts";

const LOGGED_PATHS = 20;

function textOfSchema(): string {
  const { properties = {}, required = [] } = describedSchema();
  return JSON.stringify({ properties, required });
}

/** `file` undefined: the server has no settings file. */
export function addSettingsCalls(
  calls: Calls,
  { file: given, log }: { readonly file: SettingsFile | undefined; readonly log: Log },
): void {
  const file = () => given ?? refuseAll();
  calls.add(showSettings, async (context) => {
    if (given === undefined) return context.json(NO_FILE);
    const { judgement, ...state } = await given.read();
    // The tree of a large file is not parsed again here.
    return jsonAnswer(context, JSON.stringify(state).slice(0, -1) + judgement.replace("{", ","));
  });
  // It takes 10 ms to make, and never changes.
  let schemaText: string | undefined;
  calls.add(showSchema, (context) => {
    schemaText ??= textOfSchema();
    return jsonAnswer(context, schemaText);
  });
  calls.add(proposeSettings, async (context, { version, edits }) => context.json(await file().propose(version, edits)));
  calls.add(applySettings, async (context, { version, edits }) => {
    const paths = edits.slice(0, LOGGED_PATHS).map(({ path }) => loggedName(path.join(".")));
    const what = { operation: "settings apply", edits: edits.length, paths };
    return change(context, log, what, () => file().apply(version, edits));
  });
  calls.add(listKeys, async (context) => {
    const { projects } = await file().keys();
    return context.json({ projects: projects.map(({ appid, keys }) => ({ appid, keys: keys.map(keyView) })) });
  });
  /** `pair` undefined: removes one. */
  const changeKey = (
    context: Context<ApiEnv>,
    operation: string,
    chosen: InputOf<typeof addKey> & Partial<InputOf<typeof removeKey>>,
    pair?: KeyPair,
  ) => {
    const run = async () => {
      const { version, projects } = await file().keys();
      return file().apply(version, [{ path: keyPath(projects, chosen), value: pair }]);
    };
    return change(context, log, { operation: `settings keys ${operation}`, ...chosen }, run, pair);
  };
  calls.add(addKey, (context, input) => changeKey(context, "add", input, makeKeyPair()));
  calls.add(rotateKey, (context, input) => changeKey(context, "rotate", input, makeKeyPair()));
  calls.add(removeKey, (context, input) => changeKey(context, "remove", input));
}

/** The path of a project's pair; without `secretId` that of a new one. Throws request_invalid. */
function keyPath(
  projects: Awaited<ReturnType<SettingsFile["keys"]>>["projects"],
  { appid, secretId }: { readonly appid: string; readonly secretId?: string },
) {
  const project = projects.findIndex((each) => each.appid === appid);
  const keys = projects[project]?.keys ?? [];
  const key = secretId === undefined ? keys.length : keys.findIndex((each) => each.secretId === secretId);
  if (project === -1) throw invalid("the settings have no project of this appid");
  if (key === -1) throw invalid("the project has no key pair of this secretId");
  return ["projects", project, "keys", key];
}

/** Answers 400 with the faults if the settings would have some. */
async function change(
  context: Context<ApiEnv>,
  log: Log,
  what: { readonly operation: string },
  run: () => Promise<AppliedSettings>,
  pair?: KeyPair,
): Promise<Response> {
  const audit = auditOf(context, log, what);
  const { faults, ...answer } = await unlessFailed(audit, run);
  audit(faults.length > 0 ? "failed" : "done", pair === undefined ? {} : { newSecretId: pair.secretId });
  if (faults.length === 0) return context.json({ ...answer, ...pair });
  const error = invalid("the settings would have faults, so nothing was written");
  return context.json({ ...problemOf(error, context.get("requestId")), faults }, 400);
}

function keyView({ secretId, secretKey, enabled }: Readonly<Record<string, unknown>>): object {
  return { secretId: String(secretId), secretKey: String(secretKey), isEnabled: enabled !== false };
}

const NO_FILE = {
  isInForce: false,
  readOnly: "there is no settings file that a server follows",
  ...{ faults: [], warnings: [], needsRestart: [] },
};

function refuseAll(): never {
  throw invalid(`Cannot use the settings: ${NO_FILE.readOnly}`, { answerStatus: 403 });
}
