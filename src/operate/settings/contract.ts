// The contracts of the calls for the settings file and the key pairs of projects.
import * as z from "zod";
import { type AnswerOf, faults, get, json, listOf, post } from "../admin/contract/contract.ts";
import { text, whole } from "../admin/contract/fields.ts";

const MAX_EDITS = 100;
const MAX_DEPTH = 20;
/** Values of all edits of a call. A bucket has dozens, a list of Referers may have more. */
const MAX_VALUES = 5_000;

/** The values of a tree, or Infinity if it is too deep. */
const sizeOf = (value: unknown, depth = MAX_DEPTH): number => {
  if (typeof value !== "object" || value === null) return 1;
  if (depth === 0) return Number.POSITIVE_INFINITY;
  return Object.values(value).reduce((sum: number, inner) => sum + sizeOf(inner, depth - 1), 1);
};

const EDIT_ERROR = `must be a list of 1 to ${MAX_EDITS} edits {"path": [...], "value": ...} or {"path": [...], "to": ...}, with at most ${MAX_VALUES} values, nested up to ${MAX_DEPTH} deep`;
// A misspelt `value` must not become a removal.
const EDIT = z
  .strictObject(
    {
      path: z
        .array(z.union([text(), whole(0, 100_000)]))
        .min(1)
        .max(MAX_DEPTH),
      value: z.unknown().optional(),
      to: whole(0, 100_000).optional(),
    },
    { error: EDIT_ERROR },
  )
  .refine(({ value, to }) => value === undefined || to === undefined, { error: EDIT_ERROR });
const edits = {
  version: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: "must be the version that the settings were read with" })
    .describe("The version that the edits are made for."),
  edits: z
    .array(EDIT, { error: EDIT_ERROR })
    .min(1, { error: EDIT_ERROR })
    .max(MAX_EDITS, { error: EDIT_ERROR })
    .refine((edits) => edits.reduce((sum, { value }) => sum + sizeOf(value), 0) <= MAX_VALUES, { error: EDIT_ERROR })
    .describe(
      "Applied in order. A list position one past the end adds an item. Without a value the setting is removed. `to` moves an item of a list to that position, with the comments in it; those above it stay.",
    ),
};

const JUDGEMENT = {
  warnings: z.array(z.string()),
  needsRestart: z.array(z.string()).describe("Settings that take effect at the next start."),
};
const PROPOSAL = {
  ...JUDGEMENT,
  diff: z.array(z.string()).describe("Unified lines; secrets are `[secret]`, comments `# …`."),
};
const applied = json({
  ...PROPOSAL,
  version: z.string().describe("The new version of the file."),
  isInForce: z.boolean().describe("false: the server has not taken it up within 3 s; read the settings again."),
});

export const showSettings = get("/settings", "read", {
  summary: "Show the settings file, without secrets",
  answer: json({
    file: z.string().optional(),
    version: z.string().optional().describe("SHA-256 of the file's bytes; left out if it cannot be read."),
    isInForce: z.boolean().describe("Whether the server uses this version."),
    refusal: z.string().optional().describe("Why the last reload was refused."),
    readOnly: z.string().optional().describe("Why edits are refused; left out if the file can be written."),
    faults: faults.describe("As `huiyuan check` reports them."),
    ...JUDGEMENT,
    settings: z
      .unknown()
      .optional()
      .describe("The file's mappings, lists and values; secrets are `[secret]` or their `env:NAME` or `file:PATH`."),
  }),
});

export const showSchema = get("/settings/schema", "read", {
  summary: "Show the schema of the settings, with words for people in English and Chinese",
  answer: json({
    properties: z
      .record(z.string(), z.unknown())
      .describe("JSON Schema of each key of the file; `zh` beside `description`, `secret` and `needsRestart`."),
    required: z.array(z.string()).describe("Keys that the file must have."),
  }),
});

export const proposeSettings = post("/settings/propose", "admin", {
  summary: "Show what edits would change in the settings file",
  fields: edits,
  answer: json({
    ...PROPOSAL,
    faults: faults.describe("Lines and columns are those of the proposed file."),
  }),
});

export const applySettings = post("/settings/apply", "admin", {
  summary: "Write edits to the settings file",
  fields: edits,
  answer: applied,
});

export const listKeys = get("/settings/keys", "admin", {
  summary: "List the key pairs of each project",
  answer: json({
    projects: listOf({
      appid: z.string(),
      keys: listOf({
        secretId: z.string(),
        secretKey: z
          .string()
          .describe("`[secret]`: it is in the file; else the `env:NAME` or `file:PATH` that holds it."),
        isEnabled: z.boolean(),
      }),
    }),
  }),
});

const appid = text().describe("The project.");
const secretId = text().describe("SecretID of the pair.");
const keysChanged = json({
  ...applied.json.shape,
  secretId: z.string().optional().describe("Of the new pair."),
  secretKey: z.string().optional().describe("Of the new pair; shown only here."),
});

export const addKey = post("/settings/keys/add", "admin", {
  summary: "Add a new key pair to a project; its secretKey is shown only here",
  fields: { appid },
  answer: keysChanged,
});

export const rotateKey = post("/settings/keys/rotate", "admin", {
  summary: "Replace a key pair at once; tokens of the old one are refused",
  fields: { appid, secretId },
  answer: keysChanged,
});

export const removeKey = post("/settings/keys/remove", "admin", {
  summary: "Remove a key pair; its tokens are refused",
  fields: { appid, secretId },
  answer: keysChanged,
});

export type SettingsState = AnswerOf<typeof showSettings>;
export type SettingsProposal = AnswerOf<typeof proposeSettings>;
export type SettingsApplied = AnswerOf<typeof applySettings>;
export type KeysChanged = AnswerOf<typeof addKey>;
export type ProjectKeys = AnswerOf<typeof listKeys>;
