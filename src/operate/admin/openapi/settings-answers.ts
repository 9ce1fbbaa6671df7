// Schemas of the answers of the admin API about the settings file. answers.ts has the others.
import * as z from "zod";

export const faults = z.array(
  z.object({
    path: z.string().describe("Dotted; empty for the file as a whole."),
    line: z.int().describe("From 1; 0 if the file cannot be read."),
    column: z.int(),
    message: z.string(),
    zh: z.string().describe("The message in Chinese."),
  }),
);

const JUDGEMENT = {
  warnings: z.array(z.string()),
  needsRestart: z.array(z.string()).describe("Settings that take effect at the next start."),
};
export const settingsState = z.object({
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
});
const PROPOSAL = {
  ...JUDGEMENT,
  diff: z.array(z.string()).describe("Unified lines; secrets are `[secret]`, comments `# …`."),
};
export const settingsProposal = z.object({
  ...PROPOSAL,
  faults: faults.describe("Lines and columns are those of the proposed file."),
});
export const settingsApplied = z.object({
  ...PROPOSAL,
  version: z.string().describe("The new version of the file."),
  isInForce: z.boolean().describe("false: the server has not taken it up within 3 s; read the settings again."),
});
export const keysChanged = z.object({
  ...settingsApplied.shape,
  secretId: z.string().optional().describe("Of the new pair."),
  secretKey: z.string().optional().describe("Of the new pair; shown only here."),
});
export const projectKeys = z.object({
  projects: z.array(
    z.object({
      appid: z.string(),
      keys: z.array(
        z.object({
          secretId: z.string(),
          secretKey: z
            .string()
            .describe("`[secret]`: it is in the file; else the `env:NAME` or `file:PATH` that holds it."),
          isEnabled: z.boolean(),
        }),
      ),
    }),
  ),
});

export type SettingsState = z.output<typeof settingsState>;
export type SettingsProposal = z.output<typeof settingsProposal>;
export type SettingsApplied = z.output<typeof settingsApplied>;
export type KeysChanged = z.output<typeof keysChanged>;
export type ProjectKeys = z.output<typeof projectKeys>;
