// Admin API calls for the settings file: read it without secrets, propose and apply edits, and change the key pairs of
// projects. settings/edit/ does the work. An answer has a new secretKey once, and no other secret.
import type { Context } from "hono";
import * as z from "zod";
import type { Log } from "../../core/log.ts";
import type { AppliedSettings, SettingsFile } from "../../settings/edit/settings-file.ts";
import { auditOf, loggedName, problemOf } from "../admin/audit.ts";
import { type ApiEnv, type Calls, jsonAnswer } from "../admin/calls.ts";
import { invalid, text, whole } from "../admin/input.ts";
import {
  keysChanged,
  projectKeys,
  settingsApplied,
  settingsProposal,
  settingsState,
} from "../admin/openapi/settings-answers.ts";
import { type KeyPair, makeKeyPair } from "../../settings/key-pair.ts";

const MAX_EDITS = 100;
const MAX_DEPTH = 20;
/** Values of all edits of a call. A bucket has dozens, a list of Referers may have more. */
const MAX_VALUES = 5_000;
const LOGGED_PATHS = 20;

const version = () =>
  z.string().regex(/^[0-9a-f]{64}$/, { error: "must be the version that the settings were read with" });

/** The values of a tree, or Infinity if it is too deep. */
const sizeOf = (value: unknown, depth = MAX_DEPTH): number => {
  if (typeof value !== "object" || value === null) return 1;
  if (depth === 0) return Number.POSITIVE_INFINITY;
  return Object.values(value).reduce((sum: number, inner) => sum + sizeOf(inner, depth - 1), 1);
};

const EDIT_ERROR = `must be a list of 1 to ${MAX_EDITS} edits {"path": [...], "value": ...}, with at most ${MAX_VALUES} values, nested up to ${MAX_DEPTH} deep`;
// A misspelt `value` must not become a removal.
const EDIT = z.strictObject(
  {
    path: z
      .array(z.union([text(), whole(0, 100_000)]))
      .min(1)
      .max(MAX_DEPTH),
    value: z.unknown().optional(),
  },
  { error: EDIT_ERROR },
);
const EDITS = {
  version: version().describe("The version that the edits are made for."),
  edits: z
    .array(EDIT, { error: EDIT_ERROR })
    .min(1, { error: EDIT_ERROR })
    .max(MAX_EDITS, { error: EDIT_ERROR })
    .refine((edits) => edits.reduce((sum, { value }) => sum + sizeOf(value), 0) <= MAX_VALUES, { error: EDIT_ERROR })
    .describe(
      "Applied in order. A list position one past the end adds an item; without a value the setting is removed.",
    ),
};

/** `file` undefined: the server has no settings file. */
export function addSettingsCalls(
  calls: Calls,
  { file: given, log }: { readonly file: SettingsFile | undefined; readonly log: Log },
): void {
  const file = () => given ?? refuseAll();
  calls.get(
    "/settings",
    { summary: "Show the settings file, without secrets", fields: {}, answer: { json: settingsState } },
    async (context) => {
      if (given === undefined) return context.json(NO_FILE);
      const { judgement, ...state } = await given.read();
      // The tree of a large file is not parsed again here.
      return jsonAnswer(context, JSON.stringify(state).slice(0, -1) + judgement.replace("{", ","));
    },
  );
  calls.post(
    "/settings/propose",
    { summary: "Show what edits would change in the settings file", fields: EDITS, answer: { json: settingsProposal } },
    async (context, { version, edits }) => context.json(await file().propose(version, edits)),
  );
  calls.post(
    "/settings/apply",
    { summary: "Write edits to the settings file", fields: EDITS, answer: { json: settingsApplied } },
    async (context, { version, edits }) => {
      const paths = edits.slice(0, LOGGED_PATHS).map(({ path }) => loggedName(path.join(".")));
      const what = { operation: "settings apply", edits: edits.length, paths };
      return change(context, log, what, () => file().apply(version, edits));
    },
  );
  addKeyCalls(calls, { file, log });
}

function addKeyCalls(calls: Calls, { file, log }: { readonly file: () => SettingsFile; readonly log: Log }): void {
  calls.get(
    "/settings/keys",
    { summary: "List the key pairs of each project", fields: {}, answer: { json: projectKeys } },
    async (context) => {
      const { projects } = await file().keys();
      return context.json({ projects: projects.map(({ appid, keys }) => ({ appid, keys: keys.map(keyView) })) });
    },
  );
  const appid = text().describe("The project.");
  const secretId = text().describe("SecretID of the pair.");
  const answer = { json: keysChanged };
  /** `pair` undefined: removes one. */
  const run = (
    context: Context<ApiEnv>,
    operation: string,
    chosen: { readonly appid: string; readonly secretId?: string },
    pair?: KeyPair,
  ) =>
    change(
      context,
      log,
      { operation: `settings keys ${operation}`, ...chosen },
      async () => {
        const { version, projects } = await file().keys();
        return file().apply(version, [{ path: keyPath(projects, chosen), value: pair }]);
      },
      pair,
    );
  calls.post(
    "/settings/keys/add",
    { summary: "Add a new key pair to a project; its secretKey is shown only here", fields: { appid }, answer },
    (context, input) => run(context, "add", input, makeKeyPair()),
  );
  calls.post(
    "/settings/keys/rotate",
    { summary: "Replace a key pair at once; tokens of the old one are refused", fields: { appid, secretId }, answer },
    (context, input) => run(context, "rotate", input, makeKeyPair()),
  );
  calls.post(
    "/settings/keys/remove",
    { summary: "Remove a key pair; its tokens are refused", fields: { appid, secretId }, answer },
    (context, input) => run(context, "remove", input),
  );
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
  let applied: AppliedSettings;
  try {
    applied = await run();
  } catch (error) {
    audit("failed", {});
    throw error;
  }
  const { faults, ...answer } = applied;
  audit(faults.length > 0 ? "failed" : "done", pair === undefined ? {} : { newSecretId: pair.secretId });
  if (faults.length === 0) return context.json({ ...answer, ...pair });
  const error = invalid("the settings would have faults, so nothing was written");
  return context.json({ ...problemOf(error, context.get("requestId")), faults }, 400);
}

interface KeyEntry {
  readonly secretId: string;
  /** As the file may be shown. */
  readonly secretKey: unknown;
  readonly isEnabled: boolean;
}

function keyView({ secretId, secretKey, enabled }: Record<string, unknown>): KeyEntry {
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
