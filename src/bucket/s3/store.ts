// The S3 store: one S3 bucket that holds all buckets of this program under a prefix. This file wires and checks; what a
// bucket does is in bucket.ts, what a request is in client.ts.
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { withTimeout } from "../../async/timeouts.ts";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { objectNames } from "../remote/names.ts";
import type { RemoteBucket, RemoteStore } from "../remote/remote.ts";
import { isResult } from "./answers.ts";
import { createS3Bucket } from "./bucket.ts";
import { createCapabilityProbe } from "./capability-probe.ts";
import { createS3Client, type S3Access } from "./client.ts";
import type { HttpCaller } from "./http-call.ts";

export interface S3StoreOptions extends S3Access {
  /** The bucket's name, for copies. */
  readonly bucket: string;
  /** Before every object's name, such as `images/`. */
  readonly prefix: string;
  readonly call: HttpCaller;
  readonly log: Log;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Larger objects are put in parts. Bytes. */
  readonly partsAboveBytes?: number;
}

const PARTS_ABOVE_BYTES = 67_108_864;
const CHECK_TIMEOUT_MS = 5_000;
/** For the trial of conditions, which goes on behind; the first put waits for it, its client not for ever. */
const START_PROBE_WAIT_MS = 3_000;
const PUT_PROBE_WAIT_MS = 8_000;

/**
 * Asks the bucket once, for a few seconds. Throws store_failed where S3 answers that it may not be used: wrong keys, no such bucket. An S3 that
 * does not answer may come later: that is logged, and known by `outageSince`. One that lists but takes no put is logged too.
 */
export async function openS3Store(options: S3StoreOptions): Promise<RemoteStore> {
  const { prefix, log, bucket: s3Bucket, partsAboveBytes = PARTS_ABOVE_BYTES } = options;
  // S3 may be one that says with no 404 which request it was, and have had no chance yet to show it.
  const { url, region, accessKeyId, secretAccessKey, call, now } = options;
  const client = createS3Client({
    url,
    region,
    accessKeyId,
    secretAccessKey,
    call,
    log,
    now,
    onUntrustedNotFound: () => probe.probeAgain(),
  });
  const probe = createCapabilityProbe(client, { prefix, log });
  // Known before it is needed, as at the start: what is obeyed, and how S3 says that something is not there.
  client.availability.onRecovery(() => void probe.capabilities().catch(() => undefined));
  const buckets = new Map<string, RemoteBucket>();
  try {
    await checkBucket();
  } catch (error) {
    client.close();
    throw error;
  }

  const capabilitiesInTime = () =>
    withTimeout(PUT_PROBE_WAIT_MS, probe.capabilities(), "Cannot put: S3 has not shown yet what conditions it obeys");

  async function checkBucket(): Promise<void> {
    try {
      // A listing: the one answer whose failure says why, which that of a HEAD cannot.
      const query = { "list-type": "2", "max-keys": "1", prefix };
      const reply = await client.send({ method: "GET", query, idleTimeoutMs: CHECK_TIMEOUT_MS, maxAttempts: 1 });
      const isListed = reply.status < 300 && isResult(await client.text(reply, CHECK_TIMEOUT_MS), "ListBucketResult");
      if (!isListed) throw client.unexpectedReply("list what is", reply.status);
      await firstProbe();
    } catch (error) {
      if (!client.mayRetry(error)) throw error;
      client.availability.failed(asHuiyuanError(error), true);
    }
  }

  /** An S3 that takes no put has what it has, and may take the next: each that is wanted makes the trial again. */
  async function firstProbe(): Promise<void> {
    try {
      await Promise.race([probe.capabilities(), delay(START_PROBE_WAIT_MS, undefined, { ref: false })]);
    } catch (error) {
      if (client.mayRetry(error)) throw error;
      log.error({ err: error }, "S3 takes no puts: what it has is served, uploads fail, new images wait on disk");
    }
  }

  return {
    id: createHash("sha256").update(`${options.url}\n${prefix}`).digest("hex").slice(0, 12),
    bucket(id) {
      const known =
        buckets.get(id) ??
        createS3Bucket({
          client,
          names: objectNames(prefix, id),
          capabilities: capabilitiesInTime,
          s3Bucket,
          partsAboveBytes,
        });
      buckets.set(id, known);
      return known;
    },
    get isDown() {
      return client.availability.isDown;
    },
    outageSince: () => client.availability.since,
    onRecovery: (listener) => client.availability.onRecovery(listener),
    async close() {
      client.close();
    },
  };
}
