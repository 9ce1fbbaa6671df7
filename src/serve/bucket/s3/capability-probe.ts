// Finds out with a temporary object whether this S3 obeys conditional puts, because some servers accept the headers and
// ignore them. remote/bucket.ts replaces a missing condition by a HEAD.
import { createHash, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { asHuiyuanError } from "../../../core/errors.ts";
import type { HttpReply } from "../../../core/http-call.ts";
import type { Log } from "../../../core/log.ts";
import type { ObeyedConditions } from "../remote/requests.ts";
import type { S3Client } from "./client.ts";

export interface CapabilityProbeOptions {
  /** Prefix of the temporary object's name. */
  readonly prefix: string;
  readonly log: Log;
}

/** `bareTags`: If-Match is obeyed only if the entity tag has no quotes, as by Ceph RGW. */
export interface S3Conditions extends ObeyedConditions {
  readonly bareTags: boolean;
}

/** The entity tag without its quotes. */
export const bareTag = (etag: string) => etag.replaceAll('"', "");

const IDLE_TIMEOUT_MS = 10_000;

/** Result of a put. `refused`: S3 does not accept such a request. */
type ProbeResult = "stored" | "condition failed" | "refused";

/** The result is cached. If the probe fails, throws store_failed or store_full, and the next call probes again. */
export function createCapabilityProbe(client: S3Client, options: CapabilityProbeOptions): () => Promise<S3Conditions> {
  let probe: Promise<S3Conditions> | undefined;
  return () => {
    probe ??= probeS3(client, options).catch((error: unknown) => {
      probe = undefined;
      throw error;
    });
    return probe;
  };
}

function logMissing({ absent, version }: ObeyedConditions, log: Log): void {
  if (absent && version) return;
  const missing = [absent ? "" : "If-None-Match", version ? "" : "If-Match"].filter(Boolean).join(" and ");
  log.warn(
    { missing },
    "this S3 ignores conditional puts: a HEAD precedes each of them, so let only one huiyuan write to the bucket",
  );
}

const etagOf = (text: string) => `"${createHash("md5").update(text).digest("hex")}"`;

async function probeS3(client: S3Client, { prefix, log }: CapabilityProbeOptions): Promise<S3Conditions> {
  const name = `${prefix}.huiyuan-probe/${randomUUID()}`;
  const putText = (text: string, headers: Record<string, string>) => {
    const bytes = Buffer.from(text);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const body = { bytes: bytes.length, sha256, open: () => Readable.from([bytes]) };
    return client.send({ method: "PUT", name, headers, body, idleTimeoutMs: IDLE_TIMEOUT_MS });
  };
  async function expectStored(reply: HttpReply): Promise<void> {
    // This proves nothing, because a proxy in front of S3 may have answered.
    if (reply.status >= 300) throw client.unexpectedReply(`put "${name}"`, reply.status);
    await client.discard(reply);
  }
  async function tryPut(text: string, condition: Record<string, string>): Promise<ProbeResult> {
    let reply: HttpReply;
    try {
      reply = await putText(text, condition);
    } catch (error) {
      if (client.mayRetry(error) || asHuiyuanError(error).code === "store_full") throw error;
      return "refused";
    }
    if (reply.status === 412 || reply.status === 409) return "condition failed";
    await expectStored(reply);
    return "stored";
  }
  /** `tagOf`: the entity tag of a text, as it is sent. */
  async function isVersionObeyed(tagOf: (text: string) => string): Promise<boolean> {
    const rejectsWrong = (await tryPut("third", { "if-match": tagOf("another") })) === "condition failed";
    return rejectsWrong && (await tryPut("first", { "if-match": tagOf("first") })) === "stored";
  }
  try {
    await expectStored(await putText("first", {}));
    // Each conditional put would change the object if S3 ignored the condition. The last shows how If-Match is obeyed.
    const absent = (await tryPut("second", { "if-none-match": "*" })) === "condition failed";
    const version = absent && (await isVersionObeyed(etagOf));
    const bareTags = absent && !version && (await isVersionObeyed((text) => bareTag(etagOf(text))));
    const conditions = { absent, version: version || bareTags, bareTags };
    logMissing(conditions, log);
    return conditions;
  } finally {
    await client
      .send({ method: "DELETE", name, idleTimeoutMs: IDLE_TIMEOUT_MS })
      .then(client.discard)
      .catch(() => undefined); // The object that stays is small, and its name explains it.
  }
}
