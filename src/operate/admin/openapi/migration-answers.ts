// Schemas of the answers of the admin API about migrations, as answers.ts has the others.
import * as z from "zod";
import { KINDS } from "../../migrations/journal/verification.ts";
import { time } from "./answers.ts";

const finding = z.object({
  kind: z
    .enum(KINDS)
    .describe(
      "`missing`: at the target. `gone`: at the source. `failed`: its copy has failed, for this reason. `deleted`: at the target, by an operator.",
    ),
  count: z.int(),
  first: z.array(z.object({ fileid: z.string(), reason: z.string() })).describe("At most 10."),
});
const verification = z.object({
  at: time.describe("When it ended, or when this was written."),
  sample: z.string(),
  run: z.int().describe("Number of its run. It is older than the last run if `counters.run` is larger."),
  troubles: z.array(z.string()).optional().describe("Why it is incomplete; absent if it has not ended."),
  objects: z.int().describe("0 while the source is listed."),
  done: z.int(),
  equal: z.int(),
  hashed: z.int().describe("Compared by hash."),
  skipped: z.int().describe("Not compared."),
  bytes: z.int().describe("Read from the source."),
  findings: z.array(finding),
});

export const migrationAnswer = z.object({
  id: z.string(),
  source: z.string().describe("`migrate.type` of its config, or the domain whose origins it copies."),
  isRunning: z.boolean(),
  isVerifying: z.boolean().describe("The run that is running, or that has ended last, is a comparison."),
  verification: verification.optional().describe("The last comparison of source and target."),
  ended: z.string().optional().describe("Exit code or signal of its last run, since the server started."),
  counters: z.record(z.string(), z.int()).optional().describe("As `huiyuan migrate stat --json` prints them."),
  output: z.string().describe("The end of the output of its last run, since the server started."),
});
export const migrationList = z.object({ migrations: z.array(migrationAnswer) });
export const migrationFailures = z.object({
  failures: z.array(z.object({ serial: z.int(), fileid: z.string(), log: z.string() })),
  next: z.int().optional(),
  causes: z
    .array(z.object({ cause: z.string(), count: z.int(), example: z.string().describe("The text of one of them.") }))
    .describe("Of all failures: at most 20, the most frequent first."),
});
export const migrationRemoved = z.object({ removed: z.string() });

export type MigrationList = z.output<typeof migrationList>;
export type MigrationAnswer = z.output<typeof migrationAnswer>;
export type MigrationFailures = z.output<typeof migrationFailures>;
