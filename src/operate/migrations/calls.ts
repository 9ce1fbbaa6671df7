// Admin API calls for the migrations that the server runs as child processes, and the one that takes a whole object
// from any migration. Answers never hold a config, because it has secrets.

import type { Context } from "hono";
import { createSemaphore } from "../../async/semaphore.ts";
import { HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { type Key, type ObjectInfo, toKey } from "../../core/object.ts";
import { describeObject } from "../../serve/bucket/contract/bucket.ts";
import type { RestApiParts } from "../../serve/http/rest/call.ts";
import { type ReceivedBody, receiveBody } from "../../serve/upload/upload-store.ts";
import { auditOf, unlessFailed } from "../admin/audit.ts";
import { type ApiEnv, assertAllowed, type Calls } from "../admin/calls.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import { invalid } from "../admin/input.ts";
import { bucketNamed, type Domains } from "../admin/naming.ts";
import {
  createMigration,
  listFailures,
  listMigrations,
  removeMigration,
  showMigration,
  startMigration,
  stopMigration,
  storeContent,
  verifyMigration,
} from "./contract.ts";
import type { MigrationJobs } from "./jobs/jobs.ts";
import { createStoreTarget } from "./targets/store.ts";

/** `jobs` undefined: the server has no settings file. Then the list is empty. */
export function addMigrationCalls(
  calls: Calls,
  { jobs: given, log }: { readonly jobs: MigrationJobs | undefined; readonly log: Log },
): void {
  const jobs = () => given ?? refuseAll();

  /** Answers with what `run` returns. Writes the audit log, which names the job only. */
  async function change(context: Context<ApiEnv>, operation: string, id: string, run: () => object | Promise<object>) {
    const audit = auditOf(context, log, { operation: `migration ${operation}`, ...{ id } });
    const answer = await unlessFailed(audit, run);
    audit("done", {});
    return context.json(answer);
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
  calls.add(listFailures, async (context, { id, limit, after }) =>
    context.json(await jobs().failures(id, after, limit)),
  );
  calls.add(removeMigration, (context, { id }) => change(context, "remove", id, () => jobs().remove(id)));
}

function refuseAll(): never {
  throw invalid("only a server that `huiyuan serve` runs has migrations");
}

export interface ContentParts {
  readonly registry: Domains;
  readonly restApi: Pick<RestApiParts, "spools" | "maxImageBytes">;
  readonly stopping: AbortSignal;
}

/** Bodies at once, apart from those of the REST API, so that a migration cannot use up the places of live uploads. */
const PLACES = 64;
const LINE = { maxWaiting: 1_024, waitMs: 10_000 };

/**
 * The body passes the gate again, its SHA-256 must be the declared one, and the store's conditions decide whether it
 * may replace anything.
 */
export function addContentCall(calls: Calls, parts: ContentParts): void {
  const { registry, restApi, stopping } = parts;
  const overloaded = () => new HuiyuanError("overloaded", "too many objects are being taken; try again");
  const places = createSemaphore(PLACES, { ...LINE, overloaded });
  calls.add(storeContent, async (context, input) => {
    const stored = bucketNamed(input.bucket, registry);
    const key = toKey(input.key);
    const { incoming } = context.env;
    if (incoming === undefined) throw invalid("only a running server takes bodies");
    const maxBytes = restApi.maxImageBytes();
    const size = Number(incoming.headers["content-length"]);
    if (!(size <= maxBytes)) {
      const answerStatus = Number.isNaN(size) ? 411 : 413;
      throw invalid(`the body must have a Content-Length of at most ${maxBytes} bytes`, { answerStatus });
    }
    if (stopping.aborted) throw new HuiyuanError("draining", "Cannot store an object: the server is stopping");
    const release = await places.acquire(stopping);
    const spool = restApi.spools.open({ size, failsWithDisk: true });
    try {
      // The answer to a refused body still uses the connection.
      const bytes = incoming.iterator({ destroyOnReturn: false });
      const options = { spool, maxBytes, tooLarge: "request_invalid", framing: "length" } as const;
      const received = await receiveBody(bytes, options, () => invalid("the body is incomplete"));
      assertAllowed(context);
      const info = describe(key, received, input, Date.now());
      const request = { info, body: received.body, replace: input.replace, signal: stopping };
      const outcome = await createStoreTarget(stored).put(request);
      return context.json({ bucket: stored.bucketId, key, outcome });
    } catch (error) {
      if (!(error instanceof HuiyuanError) || error.code !== "store_full") throw error;
      // A status of its own: the sender stops, because every further object would fail too.
      throw new HuiyuanError("store_full", error.message, { cause: error, answerStatus: 507 });
    } finally {
      spool.release();
      release();
    }
  });
}

/** Throws request_invalid for a body that is not the declared one, or no whole image. */
function describe(
  key: Key,
  { body, verdict }: ReceivedBody,
  input: InputOf<typeof storeContent>,
  now: number,
): ObjectInfo {
  const { sha256 } = body.hashes;
  if (sha256 !== input.sha256) throw invalid(`the SHA-256 of the body is ${sha256}`);
  if (verdict.kind === "broken") throw invalid(`the body is no whole image (${verdict.code})`);
  if (verdict.kind === "suspect" && input.accept === "whole") throw invalid("the image's structure is not whole");
  const { originUrl, originEtag, originLastModified, contentDisposition, contentLanguage } = input;
  return describeObject({
    ...{ key, body, image: verdict.image, now, isSuspect: verdict.kind !== "whole", lastModified: originLastModified },
    headers: {
      ...(contentDisposition !== undefined && { "content-disposition": contentDisposition }),
      ...(contentLanguage !== undefined && { "content-language": contentLanguage }),
    },
    provenance: { via: "migration", originUrl, originEtag, originLastModified, fetchedAt: now, validated: undefined },
  });
}
