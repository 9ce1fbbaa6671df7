// The admin API call that stores an image of an operator. Checks, limits, operation log and callback are those of an
// upload through the REST API; only the operator may replace an object. The token of the port authorizes it.
import type { IncomingMessage } from "node:http";
import type { Context } from "hono";
import { asHuiyuanError, errorRow, HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import { publicUrl } from "../../../serve/http/response/public-url.ts";
import type { RestApiParts } from "../../../serve/http/rest/call.ts";
import {
  receiveBody,
  refuseExisting,
  type Stored,
  storeUpload,
  type UploadedFile,
} from "../../../serve/upload/upload-store.ts";
import { auditOf, entryOf, loggedName, messageOf } from "../../admin/audit.ts";
import { type ApiEnv, assertAllowed, type Calls } from "../../admin/calls.ts";
import type { InputOf } from "../../admin/contract/contract.ts";
import { invalid } from "../../admin/input.ts";
import { bucketNamed, type ManagedBucket, managedBucket } from "../../admin/naming.ts";
import { uploadObject } from "../contract.ts";
import { type ObjectParts, objectView } from "./object-calls.ts";

export interface UploadParts extends ObjectParts {
  readonly restApi: Pick<
    RestApiParts,
    "projects" | "uploads" | "spools" | "maxImageBytes" | "verify" | "makeOutboxDraft" | "stored" | "place"
  >;
  readonly stopping: AbortSignal;
}

/** As for names of the REST API. */
const MAX_KEY_BYTES = 128;

export function addUploadCall(calls: Calls, parts: UploadParts): void {
  const { registry, restApi, cluster, operations, usage, log } = parts;
  calls.add(uploadObject, async (context, input) => {
    const { bucketId } = bucketNamed(input.bucket, registry);
    const key = toKey(input.key);
    const logged = { bucket: bucketId, key: loggedName(key), replace: input.replace };
    const audit = auditOf(context, log, { operation: "upload", ...logged });
    const record = (code: number, message: string, bytes: number) => {
      operations.record({ ...entryOf(context, "upload"), bucketId, fileid: key, code, message, bytes });
      usage.count(bucketId, "upload", { isFailed: code !== 0 && bytes === 0, bytes });
    };
    try {
      const bucket = managedBucket(bucketId, restApi.projects());
      const { info, outboxDraft } = await take(context, { bucket, key, input }, parts);
      restApi.stored?.(bucket, key);
      const callback = await outboxDraft?.stored();
      record(callback?.code ?? 0, callback?.code ? "stored, but the callback failed" : "SUCCESS", info.size);
      audit("done", { bytes: info.size });
      const url = publicUrl(restApi.place(), bucket.publicDomain, key);
      const answered = callback && { code: callback.code, answer: callback.json };
      const confirmation = await cluster?.confirmed();
      return context.json({ bucket: bucketId, object: objectView(info), url, confirmation, callback: answered });
    } catch (error) {
      const known = asHuiyuanError(error);
      record(errorRow(known.code).errNo, messageOf(known), 0);
      audit("failed", { code: known.code });
      throw known;
    }
  });
}

interface Upload {
  readonly bucket: ManagedBucket;
  readonly key: Key;
  readonly input: InputOf<typeof uploadObject>;
}

/** Throws as storeUpload(), and before the body is read if the request shows that it cannot be stored. */
async function take(context: Context<ApiEnv>, upload: Upload, parts: UploadParts): Promise<Stored> {
  const { bucket, key, input } = upload;
  const { restApi, stopping } = parts;
  const { incoming } = context.env;
  if (incoming === undefined) throw invalid("only a running server takes bodies");
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw invalid(`"key" has more than ${MAX_KEY_BYTES} bytes`);
  if (!bucket.takesUploads)
    throw new HuiyuanError("operation_unsupported", `Cannot upload to "${bucket.name}": it is for downloads only`);
  const maxBytes = restApi.maxImageBytes();
  if (Number(incoming.headers["content-length"] ?? 0) > maxBytes)
    throw new HuiyuanError("upload_size", `Cannot upload "${key}": the limit is ${maxBytes} bytes`);
  if (!input.replace) await refuseExisting(bucket.stored, key);
  if (stopping.aborted) throw new HuiyuanError("draining", "Cannot store an object: the server is stopping");
  const release = restApi.uploads.tryAcquire();
  if (release === undefined) throw new HuiyuanError("overloaded", "Cannot take another upload: too many are running");
  const spool = restApi.spools.open({ digests: ["sha1", "md5"], failsWithDisk: true });
  try {
    const framing = incoming.headers["content-length"] === undefined ? "chunked" : "length";
    // The answer to a refused body still uses the connection.
    const bytes = incoming.iterator({ destroyOnReturn: false });
    const { body, verdict } = await receiveBody(bytes, { spool, maxBytes, tooLarge: "upload_size", framing });
    assertAllowed(context);
    return await storeUpload({
      target: bucket.stored,
      fileid: key,
      received: { body, image: verdict.kind === "whole" ? verdict.image : undefined },
      fields: { md5: input.md5, sha: input.sha },
      ...{ now: Date.now(), magicContext: input.magiccontext, verify: restApi.verify, replaces: input.replace },
      makeOutboxDraft: (file) => announce(context, upload, file, restApi),
    });
  } catch (error) {
    throw isCut(error, incoming) ? invalid("the body is incomplete") : error;
  } finally {
    spool.release();
    release();
  }
}

/** Enqueues the callback notice, as an upload through the REST API does. */
function announce(
  context: Context<ApiEnv>,
  { bucket, key }: Upload,
  file: UploadedFile,
  { makeOutboxDraft, place }: UploadParts["restApi"],
) {
  const [appid = ""] = bucket.stored.bucketId.split("/");
  // The port is bound by now.
  const url = publicUrl(place(), bucket.publicDomain, key) ?? "";
  const requestId = context.get("requestId");
  return makeOutboxDraft({ ...file, appid, bucket: bucket.name, url, userid: "0", requestId });
}

/** Whether the caller left, or broke the framing of its body. */
function isCut(error: unknown, { complete }: IncomingMessage): boolean {
  return !complete && (!(error instanceof HuiyuanError) || error.code === "internal");
}
