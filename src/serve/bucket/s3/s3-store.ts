// The S3 store: one S3 bucket that holds all buckets of this program under a prefix. This file opens and checks it;
// requests.ts has its requests, and remote/ makes buckets of them.
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { withTimeout } from "../../../async/cancellation.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { HttpCaller } from "../../../core/http-call.ts";
import type { Log } from "../../../core/log.ts";
import { createRemoteStore } from "../remote/bucket.ts";
import type { RemoteStore } from "../remote/remote.ts";
import { isResult } from "./answers.ts";
import { createCapabilityProbe, type S3Conditions } from "./capability-probe.ts";
import { createS3Client, type S3Access } from "./client.ts";
import { createS3Requests } from "./requests.ts";

export interface S3StoreOptions extends S3Access {
  /** Name of the S3 bucket, for copies. */
  readonly bucket: string;
  /** Prepended to every object's name, such as `images/`. */
  readonly prefix: string;
  /** Several nodes write to it, which needs both conditions of puts. */
  readonly isShared?: boolean;
  readonly call: HttpCaller;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
}

const CHECK_TIMEOUT_MS = 5_000;
/** The start waits this long for the capability probe, which then continues in the background. */
const START_PROBE_WAIT_MS = 3_000;
/** A put waits this long for the probe, because its client waits too. */
const PUT_PROBE_WAIT_MS = 8_000;

/**
 * Lists the bucket once, within a few seconds. Throws store_failed if S3 refuses: wrong keys, no such bucket. Throws
 * settings_invalid if several nodes would write to an S3 that ignores a condition. If S3
 * does not answer, the store opens anyway, logs it and reports it by `outageSince`. An S3 that refuses puts is logged
 * too.
 */
export async function openS3Store(options: S3StoreOptions): Promise<RemoteStore> {
  const { prefix, log, bucket: s3Bucket, isShared = false } = options;
  const { url, region, accessKeyId, secretAccessKey, call, now } = options;
  const client = createS3Client({ url, region, accessKeyId, secretAccessKey, call, log, now });
  const probe = createCapabilityProbe(client, { prefix, log });
  const capabilities = () => probe().then((conditions) => (isShared ? checkShared(conditions) : conditions));
  // As at the start, the probe runs before its result is needed.
  client.availability.onRecovery(() => void capabilities().catch(() => undefined));
  try {
    await checkBucket();
  } catch (error) {
    client.close();
    throw error;
  }

  const capabilitiesInTime = () =>
    withTimeout(PUT_PROBE_WAIT_MS, capabilities(), "Cannot put: the probe of conditional puts has not finished");

  async function checkBucket(): Promise<void> {
    try {
      // A listing, because its error response has a body with a code; that of a HEAD has none.
      const query = { "list-type": "2", "max-keys": "1", prefix };
      const reply = await client.send({ method: "GET", query, idleTimeoutMs: CHECK_TIMEOUT_MS, maxAttempts: 1 });
      const isListed = reply.status < 300 && isResult(await client.text(reply, CHECK_TIMEOUT_MS), "ListBucketResult");
      if (!isListed) throw client.unexpectedReply("list objects", reply.status);
      await firstProbe();
    } catch (error) {
      if (!client.mayRetry(error)) throw error;
      client.availability.failed(asHuiyuanError(error), true);
    }
  }

  /** An S3 that refuses puts can still serve its objects. Every later put probes again. */
  async function firstProbe(): Promise<void> {
    try {
      await Promise.race([capabilities(), delay(START_PROBE_WAIT_MS, undefined, { ref: false })]);
    } catch (error) {
      const isRefused = asHuiyuanError(error).code === "settings_invalid";
      if (isRefused || client.mayRetry(error)) throw error;
      log.error({ err: error }, "S3 takes no puts: its objects are served, uploads fail, new images wait on disk");
    }
  }

  return createRemoteStore({
    id: createHash("sha256").update(`${options.url}\n${prefix}`).digest("hex").slice(0, 12),
    name: "S3",
    prefix,
    requests: createS3Requests({ client, conditions: capabilitiesInTime, s3Bucket }),
    availability: client.availability,
    clockNote: client.clockNote,
    close: client.close,
  });
}

/** Throws settings_invalid. */
function checkShared(conditions: S3Conditions): S3Conditions {
  if (conditions.absent && conditions.version) return conditions;
  const missing = conditions.absent ? "If-Match" : "If-None-Match";
  const cannot = `Cannot share this S3 among several nodes: it ignores ${missing}, so a node could overwrite uploads`;
  throw new HuiyuanError("settings_invalid", `${cannot}; use another S3, or one node with coordination type local`);
}
