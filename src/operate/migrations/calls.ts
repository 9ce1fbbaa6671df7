// Admin API calls for the migrations that the server runs as child processes. Answers never hold a config, because it
// has secrets.
import type { Context } from "hono";
import * as z from "zod";
import type { Log } from "../../core/log.ts";
import { auditOf } from "../admin/audit.ts";
import type { ApiEnv, Calls } from "../admin/calls.ts";
import { flag, invalid, text, whole, word } from "../admin/input.ts";
import {
  migrationAnswer,
  migrationFailures,
  migrationList,
  migrationRemoved,
} from "../admin/openapi/migration-answers.ts";
import { JOB_ID, type MigrationJobs } from "./jobs/jobs.ts";
import { DEFAULT_SAMPLE, isSample } from "./verify/sample.ts";

const MAX_OPTIONS = 100;
const MAX_LISTED = 1_000;
const LISTED = 100;

const ID = z.string().regex(JOB_ID, { error: "must be 1 to 40 of a-z, 0-9 and -" }).describe("Name of the migration.");
const CONFIG = z
  .record(text(), z.union([text(), z.number(), z.boolean()]), { error: "must be an object of option names and values" })
  .refine((options) => Object.keys(options).length <= MAX_OPTIONS, { error: `has more than ${MAX_OPTIONS} options` });
const REQUEST = {
  id: ID,
  config: CONFIG.prefault({}).describe(
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
  overwrite: word(["never", "newer", "always"]).default("never").describe("Which objects with other bytes to replace."),
};

const RESCAN = flag().default(false).describe("Scan the source again, for new and changed objects.");
const SAMPLE = z
  .string()
  .refine(isSample, { error: "must be a number of objects, or a percentage such as 5%" })
  .default(DEFAULT_SAMPLE)
  .describe("Objects that are compared by hash, chosen at random: a number, or a share such as `5%`.");
const FORCE = flag().default(false).describe("Give up objects in flight; the next run copies them.");
const AFTER = whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page.");

/** `jobs` undefined: the server has no settings file. Then the list is empty. */
export function addMigrationCalls(
  calls: Calls,
  { jobs: given, log }: { readonly jobs: MigrationJobs | undefined; readonly log: Log },
): void {
  const jobs = () => given ?? refuseAll();
  const one = { json: migrationAnswer };

  /** Answers with what `run` returns. Writes the audit log, which names the job only. */
  async function change(context: Context<ApiEnv>, operation: string, id: string, run: () => object | Promise<object>) {
    const audit = auditOf(context, log, { operation: `migration ${operation}`, ...{ id } });
    try {
      const answer = await run();
      audit("done", {});
      return context.json(answer);
    } catch (error) {
      audit("failed", {});
      throw error;
    }
  }

  const listing = { summary: "List the migrations of this server", fields: {}, answer: { json: migrationList } };
  calls.get("/migrations", listing, (context) => context.json({ migrations: given?.list() ?? [] }));
  const creating = { summary: "Create and start a migration into this server", fields: REQUEST, answer: one };
  calls.post("/migrations", creating, (context, { id, ...request }) =>
    change(context, "create", id, () => jobs().create(id, request)),
  );
  const showing = { summary: "Show a migration and the end of its output", fields: { id: ID }, answer: one };
  calls.get("/migrations/stat", showing, (context, { id }) => context.json(jobs().stat(id)));
  calls.post(
    "/migrations/start",
    { summary: "Continue a migration, and retry its failures", fields: { id: ID, rescan: RESCAN }, answer: one },
    (context, { id, rescan }) => change(context, "start", id, () => jobs().start(id, { rescans: rescan })),
  );
  calls.post(
    "/migrations/verify",
    { summary: "Compare the source of a migration with its target", fields: { id: ID, sample: SAMPLE }, answer: one },
    (context, { id, sample }) => change(context, "verify", id, () => jobs().start(id, { sample })),
  );
  calls.post(
    "/migrations/stop",
    { summary: "Stop a migration, if it is running", fields: { id: ID, force: FORCE }, answer: one },
    (context, { id, force }) => change(context, "stop", id, () => jobs().stop(id, force)),
  );
  calls.get(
    "/migrations/failures",
    {
      summary: "List the failed objects of a migration, and count them by cause",
      fields: { id: ID, after: AFTER, limit: whole(1, MAX_LISTED).default(LISTED) },
      answer: { json: migrationFailures },
    },
    (context, { id, limit, after }) => context.json(jobs().failures(id, after, limit)),
  );
  const removing = { fields: { id: ID }, answer: { json: migrationRemoved } };
  calls.post(
    "/migrations/remove",
    { summary: "Remove a migration's config and journal; its objects stay", ...removing },
    (context, { id }) => change(context, "remove", id, () => jobs().remove(id)),
  );
}

function refuseAll(): never {
  throw invalid("only a server that `huiyuan serve` runs has migrations");
}
