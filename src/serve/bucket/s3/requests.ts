// The requests of the S3 store: one S3 request for each, except where S3 must be asked what it supports.
import { HuiyuanError } from "../../../core/errors.ts";
import type { HttpReply } from "../../../core/http-call.ts";
import type { Hashes } from "../../../core/object.ts";
import { encodeS3Path } from "../../../core/sigv4.ts";
import type { RemoteCondition } from "../remote/remote.ts";
import type { Description, RemoteRequests } from "../remote/requests.ts";
import { isResult, listPage, unexpectedStatus } from "./answers.ts";
import { chunksOf } from "./bodies.ts";
import { bareTag, type S3Conditions } from "./capability-probe.ts";
import type { S3Client } from "./client.ts";

export interface S3RequestsParts {
  readonly client: S3Client;
  readonly conditions: () => Promise<S3Conditions>;
  /** Name of the S3 bucket, for copies. */
  readonly s3Bucket: string;
}

const META = "x-amz-meta-";
const HEAD_TIMEOUT_MS = 2_000;
const HEAD_ATTEMPTS = 2;
/** Three attempts without a byte end before a client's connection does. */
const IDLE_TIMEOUT_MS = 15_000;
/**
 * For the whole response, including the spaces that S3 sends while it copies. Shorter than a client's connection waits
 * for its response.
 */
const COPY_TIMEOUT_MS = 35_000;
/** The MD5 of an empty body, which S3 sends as the ETag of an empty object. */
const EMPTY_MD5_ETAG = /^(?:W\/)?"?d41d8cd98f00b204e9800998ecf8427e"?$/i;

export function createS3Requests({ client, conditions, s3Bucket }: S3RequestsParts): RemoteRequests {
  async function conditionHeaders(condition: RemoteCondition): Promise<Record<string, string>> {
    if (condition.when === "always") return {};
    if (condition.when === "absent") return { "if-none-match": "*" };
    return { "if-match": (await conditions()).bareTags ? bareTag(condition.version) : condition.version };
  }

  return {
    conditions,
    async head(name) {
      const limits = { idleTimeoutMs: HEAD_TIMEOUT_MS, maxAttempts: HEAD_ATTEMPTS };
      const reply = await client.send({ method: "HEAD", name, ...limits });
      if (reply.status === 404) return undefined;
      // Content-Length of an error response is not the object's.
      if (reply.status >= 300) throw unexpectedStatus("look up", name, reply.status);
      await client.discard(reply);
      // Without an ETag an empty condition would protect nothing.
      const version = reply.header("etag") ?? "";
      if (version === "") throw new HuiyuanError("store_failed", `Cannot use "${name}": S3 sends no ETag`);
      const modifiedAt = Date.parse(reply.header("last-modified") ?? "") || 0;
      return { field: (field) => reply.header(META + field), size: sizeOf(reply, version), modifiedAt, version };
    },
    async get(name, version) {
      const headers = version === undefined ? {} : { "if-match": version };
      const reply = await client.send({ method: "GET", name, headers, idleTimeoutMs: IDLE_TIMEOUT_MS });
      if (reply.status === 404 || reply.status === 412) return undefined;
      if (reply.status === 200) return reply.body;
      // In the background, which frees its connection.
      void client.discard(reply).catch(() => undefined);
      throw unexpectedStatus("get", name, reply.status);
    },
    async put(name, source, description, condition) {
      const reply = await client.send({
        method: "PUT",
        name,
        headers: { ...headersOf(description), ...(await conditionHeaders(condition)), ...contentMd5(source.hashes) },
        body: { bytes: source.size, sha256: source.hashes.sha256, open: () => chunksOf(source) },
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      if (reply.status >= 300) {
        if (reply.status === 404 && condition.when !== "version") throw unexpectedStatus("put", name, reply.status);
        return false;
      }
      await client.discard(reply);
      return true;
    },
    async copy(from, version, to, description) {
      const reply = await client.send({
        method: "PUT",
        name: to,
        headers: {
          ...headersOf(description),
          "x-amz-copy-source": `/${encodeS3Path(`${s3Bucket}/${from}`)}`,
          "x-amz-copy-source-if-match": version,
          "x-amz-metadata-directive": "REPLACE",
        },
        idleTimeoutMs: COPY_TIMEOUT_MS,
        isTotalTimeout: true,
        maxAttempts: 1,
      });
      if (reply.status === 404 || reply.status === 412) return false;
      // A copy may fail after its 200.
      const isCopied = reply.status < 300 && isResult(await client.text(reply), "CopyObjectResult");
      if (!isCopied) throw unexpectedStatus("copy to", to, reply.status);
      return true;
    },
    async remove(name) {
      const reply = await client.send({ method: "DELETE", name, idleTimeoutMs: IDLE_TIMEOUT_MS });
      if (reply.status === 404) return true;
      if (reply.status >= 300) throw unexpectedStatus("remove", name, reply.status);
      await client.discard(reply);
      // S3 answers 204; any other status may come from a proxy.
      return reply.status === 204;
    },
    async list({ prefix, after, limit }) {
      const query = { "list-type": "2", "encoding-type": "url", prefix, "max-keys": String(limit) };
      const reply = await client.send({
        method: "GET",
        query: after === undefined ? query : { ...query, "start-after": after },
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      const answer = reply.status < 300 ? await client.text(reply) : "";
      if (!isResult(answer, "ListBucketResult")) throw unexpectedStatus("list", prefix, reply.status);
      const { names, isTruncated } = listPage(answer);
      return { names, isEnd: !isTruncated };
    },
  };
}

function headersOf({ contentType, fields }: Description): Record<string, string> {
  const headers: Record<string, string> = { "content-type": contentType };
  for (const [name, value] of Object.entries(fields)) headers[META + name] = value;
  return headers;
}

/** Some proxies send Content-Length: 0 with every HEAD response, because it has no body. */
function sizeOf(reply: HttpReply, etag: string): number | undefined {
  const text = reply.header("content-length") ?? "";
  if (!/^[0-9]+$/.test(text)) return undefined;
  return Number(text) === 0 && !EMPTY_MD5_ETAG.test(etag) ? undefined : Number(text);
}

function contentMd5({ md5 }: Hashes): Record<string, string> {
  return md5 === undefined ? {} : { "content-md5": Buffer.from(md5, "hex").toString("base64") };
}
