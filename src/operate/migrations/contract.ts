// The contracts of the calls for migrations: those that the server runs, and the objects that any migration brings.
import * as z from "zod";
import { type AnswerOf, bucketId, get, json, listOf, post, put, time } from "../admin/contract/contract.ts";
import { bucket, flag, text, whole, word } from "../admin/contract/fields.ts";
import { DEFAULT_SAMPLE, isSample } from "./verify/sample.ts";

/** An id is the name of a folder. */
export const JOB_ID = /^[a-z0-9][a-z0-9-]{0,39}$/;
const MAX_OPTIONS = 100;

const id = z.string().regex(JOB_ID, { error: "must be 1 to 40 of a-z, 0-9 and -" }).describe("Name of the migration.");
const config = z
  .record(text(), z.union([text(), z.number(), z.boolean()]), { error: "must be an object of option names and values" })
  .refine((options) => Object.keys(options).length <= MAX_OPTIONS, { error: `has more than ${MAX_OPTIONS} options` });

/**
 * `differs`: both have it, with other bytes. `missing`: the target lacks it. `gone`: the source does not have it any
 * more. `unread`: source or target could not be read, or the name cannot become an object. `failed`: it differs or is
 * missing because its copy has failed, for the reason that the journal keeps. `deleted`: a tombstone at the target,
 * which a migration respects.
 */
export const KINDS = ["differs", "missing", "gone", "unread", "failed", "deleted"] as const;

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
  findings: listOf({
    kind: z
      .enum(KINDS)
      .describe(
        "`missing`: at the target. `gone`: at the source. `failed`: its copy has failed, for this reason. `deleted`: at the target, by an operator.",
      ),
    count: z.int(),
    first: listOf({ fileid: z.string(), reason: z.string() }).describe("At most 10."),
  }),
});
const migration = json({
  id: z.string(),
  source: z.string().describe("`migrate.type` of its config, or the domain whose origins it copies."),
  isRunning: z.boolean(),
  isVerifying: z.boolean().describe("The run that is running, or that has ended last, is a comparison."),
  verification: verification.optional().describe("The last comparison of source and target."),
  ended: z.string().optional().describe("Exit code or signal of its last run, since the server started."),
  counters: z.record(z.string(), z.int()).optional().describe("As `huiyuan migrate stat --json` prints them."),
  output: z.string().describe("The end of the output of its last run, since the server started."),
});

export const listMigrations = get("/migrations", "read", {
  summary: "List the migrations of this server",
  answer: json({ migrations: z.array(migration.json) }),
});

export const createMigration = post("/migrations", "operate", {
  summary: "Create and start a migration into this server",
  fields: {
    id,
    config: config
      .prefault({})
      .describe(
        "Options of a migration's config file, such as `migrate.type`. Paths must be below server.migrationFolders.",
      ),
    list: z
      .string()
      .optional()
      .describe(
        "Lines: URLs, in place of the config's file; with fromOrigin also keys. The whole request has at most 1 MiB.",
      ),
    fromOrigin: text().optional().describe("Instead of a source in the config: the origins of this domain."),
    sitemap: text().optional().describe("With fromOrigin: URL of the web site's sitemap, without a query."),
    acceptSuspect: flag().default(false).describe("Also copy images whose structure or declared hash is wrong."),
    overwrite: word(["never", "newer", "always"])
      .default("never")
      .describe("Which objects with other bytes to replace."),
  },
  answer: migration,
});

export const showMigration = get("/migrations/stat", "read", {
  summary: "Show a migration and the end of its output",
  fields: { id },
  answer: migration,
});

export const startMigration = post("/migrations/start", "operate", {
  summary: "Continue a migration, and retry its failures",
  fields: { id, rescan: flag().default(false).describe("Scan the source again, for new and changed objects.") },
  answer: migration,
});

export const verifyMigration = post("/migrations/verify", "operate", {
  summary: "Compare the source of a migration with its target",
  fields: {
    id,
    sample: z
      .string()
      .refine(isSample, { error: "must be a number of objects, or a percentage such as 5%" })
      .default(DEFAULT_SAMPLE)
      .describe("Objects that are compared by hash, chosen at random: a number, or a share such as `5%`."),
  },
  answer: migration,
});

export const stopMigration = post("/migrations/stop", "operate", {
  summary: "Stop a migration, if it is running",
  fields: { id, force: flag().default(false).describe("Give up objects in flight; the next run copies them.") },
  answer: migration,
});

export const listFailures = get("/migrations/failures", "read", {
  summary: "List the failed objects of a migration, and count them by cause",
  fields: {
    id,
    after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
    limit: whole(1, 1_000).default(100),
  },
  answer: json({
    failures: listOf({ serial: z.int(), fileid: z.string(), log: z.string() }),
    next: z.int().optional(),
    causes: listOf({
      cause: z.string(),
      count: z.int(),
      example: z.string().describe("The text of one of them."),
    }).describe("Of all failures: at most 20, the most frequent first."),
  }),
});

export const removeMigration = post("/migrations/remove", "operate", {
  summary: "Remove a migration's config and journal; its objects stay",
  fields: { id },
  answer: json({ removed: z.string() }),
});

/**
 * Objects that a put may replace. `migrated`: an earlier copy of a migration. `newer`: also any object that was
 * modified before the source's. The REST API never replaces, whatever is asked for.
 */
export type Replacement = (typeof REPLACEMENTS)[number];
const REPLACEMENTS = ["none", "migrated", "newer", "always"] as const;

export const storeContent = put("/objects/content", "operate", {
  summary: "Store an object that a migration brings; its body is the request's, with a Content-Length",
  fields: {
    bucket: bucket(),
    key: text().describe("Key of the object."),
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, { error: "must be 64 lower-case hex digits" })
      .describe("Of the body; another body is refused."),
    replace: word(REPLACEMENTS)
      .default("none")
      .describe("What it may replace: nothing, an object that a migration brought, also an older one, or any."),
    accept: word(["whole", "suspect"])
      .default("whole")
      .describe("suspect: also an image whose structure or declared hash was wrong."),
    originUrl: text().optional().describe("The source of the bytes, without credentials."),
    originEtag: text().optional(),
    originLastModified: text().optional(),
    contentDisposition: text().optional(),
    contentLanguage: text().optional(),
  },
  answer: json({
    bucket: bucketId,
    key: z.string(),
    outcome: z
      .enum(["stored", "same", "differs", "deleted"])
      .describe("`same`: equal bytes were there. `differs`: others, which stay. `deleted`: a tombstone, which stays."),
  }),
});

export type MigrationList = AnswerOf<typeof listMigrations>;
export type MigrationAnswer = AnswerOf<typeof showMigration>;
export type MigrationFailures = AnswerOf<typeof listFailures>;
