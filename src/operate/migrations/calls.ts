// Admin API calls for the migrations that the server runs as child processes. Answers never hold a config, because it
// has secrets.
import type { Context } from "hono";
import type { Log } from "../../core/log.ts";
import { auditOf } from "../admin/audit.ts";
import type { ApiEnv, Calls } from "../admin/calls.ts";
import { invalid } from "../admin/input.ts";
import {
  createMigration,
  listFailures,
  listMigrations,
  removeMigration,
  showMigration,
  startMigration,
  stopMigration,
  verifyMigration,
} from "./contract.ts";
import type { MigrationJobs } from "./jobs/jobs.ts";

/** `jobs` undefined: the server has no settings file. Then the list is empty. */
export function addMigrationCalls(
  calls: Calls,
  { jobs: given, log }: { readonly jobs: MigrationJobs | undefined; readonly log: Log },
): void {
  const jobs = () => given ?? refuseAll();

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

  calls.add(listMigrations, (context) => context.json({ migrations: given?.list() ?? [] }));
  calls.add(createMigration, (context, { id, ...request }) =>
    change(context, "create", id, () => jobs().create(id, request)),
  );
  calls.add(showMigration, (context, { id }) => context.json(jobs().stat(id)));
  calls.add(startMigration, (context, { id, rescan }) =>
    change(context, "start", id, () => jobs().start(id, { rescans: rescan })),
  );
  calls.add(verifyMigration, (context, { id, sample }) =>
    change(context, "verify", id, () => jobs().start(id, { sample })),
  );
  calls.add(stopMigration, (context, { id, force }) => change(context, "stop", id, () => jobs().stop(id, force)));
  calls.add(listFailures, (context, { id, limit, after }) => context.json(jobs().failures(id, after, limit)));
  calls.add(removeMigration, (context, { id }) => change(context, "remove", id, () => jobs().remove(id)));
}

function refuseAll(): never {
  throw invalid("only a server that `huiyuan serve` runs has migrations");
}
