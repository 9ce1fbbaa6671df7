// One bucket of the S3 store: translates reads and changes of objects and tombstones into S3 requests. If S3 ignores
// conditions, a HEAD checks them first, which is safe within one process only: the caller holds the key's lock.

import { HuiyuanError } from "../../core/errors.ts";
import type { Hashes, Key } from "../../core/object.ts";
import { encodeS3Path } from "../../core/sigv4.ts";
import type { Tombstone } from "../contract/driver.ts";
import { describe, describeTombstone, entryOf } from "../remote/metadata.ts";
import type { ObjectNames } from "../remote/names.ts";
import type { RemoteBucket, RemoteCondition, RemoteEntry } from "../remote/remote.ts";
import { isResult } from "./answers.ts";
import { chunksOf } from "./bodies.ts";
import type { Capabilities } from "./capability-probe.ts";
import type { S3Client } from "./client.ts";
import type { HttpReply } from "./http-call.ts";
import { createS3Listing } from "./listing.ts";
import { unexpectedStatus } from "./refusals.ts";
import { tombstoneBody } from "./tombstone.ts";

export interface S3BucketParts {
  readonly client: S3Client;
  readonly names: ObjectNames;
  readonly capabilities: () => Promise<Capabilities>;
  /** Name of the S3 bucket, for copies. */
  readonly s3Bucket: string;
}

const HEAD_TIMEOUT_MS = 2_000;
const HEAD_ATTEMPTS = 2;
const IDLE_TIMEOUT_MS = 15_000;
/**
 * For the whole response, including the spaces that S3 sends while it copies. Shorter than a client's connection waits
 * for its response.
 */
const COPY_TIMEOUT_MS = 35_000;
/** Takes the place of a removed object. It has expired by any server's clock. */
const EXPIRED_TOMBSTONE = { deletedAt: 0, expiresAt: 0, reason: "taken away" };

export function createS3Bucket({ client, names, capabilities, s3Bucket }: S3BucketParts): RemoteBucket {
  async function head(key: Key): Promise<RemoteEntry> {
    const name = names.of(key);
    const reply = await client.send({
      method: "HEAD",
      name,
      idleTimeoutMs: HEAD_TIMEOUT_MS,
      maxAttempts: HEAD_ATTEMPTS,
    });
    if (reply.status === 404) return { state: "absent" };
    // Content-Length of an error response is not the object's.
    if (reply.status >= 300) throw unexpectedStatus("look up", name, reply.status);
    await client.discard(reply);
    return entryOf(key, { header: reply.header, size: sizeOf(reply), version: versionOf(reply, name) });
  }

  /** Discards the rest of the reply in the background, which frees its connection. Returns the error to throw. */
  function discardAndFail(action: string, name: string, reply: HttpReply): HuiyuanError {
    void client.discard(reply).catch(() => undefined);
    return unexpectedStatus(action, name, reply.status);
  }

  async function isConditionMet(key: Key, condition: RemoteCondition): Promise<boolean> {
    if (condition.when === "always") return true;
    const found = await head(key);
    if (condition.when === "absent") return found.state === "absent";
    return "version" in found && found.version === condition.version;
  }

  /** The headers that carry the condition; undefined if a HEAD has shown that it does not hold. */
  async function conditionHeaders(key: Key, condition: RemoteCondition): Promise<Record<string, string> | undefined> {
    if (condition.when === "always") return {};
    const obeyed = await capabilities();
    if (!obeyed[condition.when]) return (await isConditionMet(key, condition)) ? {} : undefined;
    return condition.when === "absent" ? { "if-none-match": "*" } : { "if-match": condition.version };
  }

  /**
   * As conditionHeaders(), after a lookup by the caller, so no HEAD is sent. A condition that S3 ignores, or that has
   * no version, is omitted.
   */
  async function headersAfterLookup(condition: RemoteCondition): Promise<Record<string, string>> {
    if (condition.when === "always" || !(await capabilities())[condition.when]) return {};
    if (condition.when === "absent") return { "if-none-match": "*" };
    return condition.version === "" ? {} : { "if-match": condition.version };
  }

  function putTombstone(key: Key, tombstone: Tombstone, condition?: Record<string, string>): Promise<HttpReply> {
    return client.send({
      method: "PUT",
      name: names.of(key),
      headers: { ...describeTombstone(tombstone), ...condition },
      body: tombstoneBody(),
      idleTimeoutMs: IDLE_TIMEOUT_MS,
    });
  }

  const sendDelete = (key: Key) =>
    client.send({ method: "DELETE", name: names.of(key), idleTimeoutMs: IDLE_TIMEOUT_MS });

  const put: RemoteBucket["put"] = async (info, source, { condition, isStale }) => {
    const { key, hashes } = info;
    const name = names.of(key);
    const wanted = await conditionHeaders(key, condition);
    if (wanted === undefined) return false;
    const headers = describe(info, { isStale });
    const reply = await client.send({
      method: "PUT",
      name,
      headers: { ...headers, ...wanted, ...contentMd5(hashes) },
      body: { bytes: source.size, sha256: hashes.sha256, open: () => chunksOf(source) },
      idleTimeoutMs: IDLE_TIMEOUT_MS,
    });
    if (reply.status < 300) {
      await client.discard(reply);
      return true;
    }
    if (reply.status === 404 && condition.when !== "version") throw unexpectedStatus("put", name, reply.status);
    // An earlier attempt, by this program or a proxy, may have stored it and lost the response.
    return isSame(await head(key), info.hashes.sha256, info.storedAt);
  };

  return {
    nameFault: names.fault,
    head,
    put,
    async get(key, version) {
      const reply = await client.send({
        method: "GET",
        name: names.of(key),
        headers: version === undefined ? {} : { "if-match": version },
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      if (reply.status === 404 || reply.status === 412) return undefined;
      if (reply.status !== 200) throw discardAndFail("get", names.of(key), reply);
      return reply.body;
    },
    async putTombstone(key, tombstone, condition) {
      const reply = await putTombstone(key, tombstone, await headersAfterLookup(condition));
      if (reply.status < 300) {
        await client.discard(reply);
        return true;
      }
      // As with a put, an earlier attempt may have succeeded.
      const there = await head(key);
      return there.state === "tombstone" && there.deletedAt === tombstone.deletedAt;
    },
    async copy(from, version, to, { isStale }) {
      const name = names.of(to.key);
      const reply = await client.send({
        method: "PUT",
        name,
        headers: {
          ...describe(to, { isStale }),
          "x-amz-copy-source": `/${encodeS3Path(`${s3Bucket}/${names.of(from)}`)}`,
          "x-amz-copy-source-if-match": version,
          "x-amz-metadata-directive": "REPLACE",
        },
        idleTimeoutMs: COPY_TIMEOUT_MS,
        isTotalTimeout: true,
      });
      if (reply.status === 404 || reply.status === 412) return false;
      if (reply.status >= 300) throw unexpectedStatus("copy to", name, reply.status);
      // A copy may fail after its 200.
      const result = await client.text(reply);
      if (!isResult(result, "CopyObjectResult")) throw unexpectedStatus("copy to", name, reply.status);
      return true;
    },
    async removeVersion(key, version) {
      const wanted = await conditionHeaders(key, { when: "version", version });
      if (wanted === undefined) return false;
      // Few servers support a conditional DELETE, and it must not remove another writer's acknowledged put. So an
      // expired tombstone is put with a condition instead.
      const isPut = Object.keys(wanted).length > 0;
      const reply = isPut ? await putTombstone(key, EXPIRED_TOMBSTONE, wanted) : await sendDelete(key);
      if (reply.status < 300) {
        await client.discard(reply);
        // S3 answers a DELETE with 204; any other status may come from a proxy.
        return isPut || reply.status === 204 || (await head(key)).state === "absent";
      }
      if (reply.status === 404) return true;
      if (reply.status !== 412 && reply.status !== 409) throw unexpectedStatus("remove", names.of(key), reply.status);
      // As with a put, an earlier attempt may have succeeded.
      const there = await head(key);
      return there.state === "tombstone" && there.expiresAt === EXPIRED_TOMBSTONE.expiresAt;
    },
    list: createS3Listing(client, names),
  };
}

function isSame(found: RemoteEntry, sha256: string, storedAt: number): boolean {
  return found.state === "object" && found.info.hashes.sha256 === sha256 && found.info.storedAt === storedAt;
}

/** Undefined if S3 sends no length, which is not the same as 0. */
function sizeOf(reply: HttpReply): number | undefined {
  const text = reply.header("content-length") ?? "";
  return /^[0-9]+$/.test(text) ? Number(text) : undefined;
}

/** Throws store_failed without an ETag: an empty condition would protect nothing. */
function versionOf(reply: HttpReply, name: string): string {
  const etag = reply.header("etag") ?? "";
  if (etag === "") throw new HuiyuanError("store_failed", `Cannot use "${name}": S3 sends no ETag`);
  return etag;
}

function contentMd5({ md5 }: Hashes): Record<string, string> {
  return md5 === undefined ? {} : { "content-md5": Buffer.from(md5, "hex").toString("base64") };
}
