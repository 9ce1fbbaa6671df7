// Puts a large object in parts, each signed and retried on its own. If anything fails, the upload is aborted.
import { createHash } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import type { ByteSource } from "../remote/remote.ts";
import { errorCode, isResult, uploadId } from "./answers.ts";
import { chunksOf } from "./bodies.ts";
import type { S3Client } from "./client.ts";

export interface MultipartPut {
  readonly name: string;
  /** Content type and metadata. */
  readonly headers: Readonly<Record<string, string>>;
  /** If-None-Match or If-Match, sent with the completion. */
  readonly condition: Readonly<Record<string, string>>;
  /** Checks the condition by a HEAD: some servers obey it for a plain PUT and ignore it for multipart uploads. */
  readonly isConditionMet: () => Promise<boolean>;
}

/** Bytes of a part. S3 requires at least 5 MiB and at most 10,000 parts. */
const PART_BYTES = 16_777_216;
const IDLE_TIMEOUT_MS = 15_000;
/**
 * For the whole response, including the spaces that S3 sends while it joins the parts. Shorter than a client's
 * connection waits for its response.
 */
const COMPLETE_TIMEOUT_MS = 35_000;
const ABORT_TIMEOUT_MS = 5_000;

/** False when the condition does not hold. Throws store_failed, store_full. */
export async function putInParts(client: S3Client, source: ByteSource, put: MultipartPut): Promise<boolean> {
  const { name, headers, condition, isConditionMet } = put;
  const begun = await client.send({
    method: "POST",
    name,
    query: { uploads: "" },
    headers,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
  });
  const upload = uploadId(await client.text(begun));
  if (upload === undefined) throw failed(name, "S3 sent no upload id");
  try {
    const etags: string[] = [];
    for (let start = 0; start < source.size; start += PART_BYTES) {
      const end = Math.min(start + PART_BYTES, source.size) - 1;
      const partNumber = String(etags.length + 1);
      const hash = createHash("sha256");
      for await (const chunk of chunksOf(source, start, end)) hash.update(chunk);
      const reply = await client.send({
        method: "PUT",
        name,
        query: { partNumber, uploadId: upload },
        body: { bytes: end - start + 1, sha256: hash.digest("hex"), open: () => chunksOf(source, start, end) },
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
      await client.discard(reply);
      etags.push(reply.header("etag") ?? "");
    }
    const isDone = (await isConditionMet()) && (await complete(client, { name, upload, etags, condition }));
    if (!isDone) await abort(client, name, upload);
    return isDone;
  } catch (error) {
    await abort(client, name, upload);
    throw error;
  }
}

async function complete(
  client: S3Client,
  parts: { name: string; upload: string; etags: readonly string[]; condition: Readonly<Record<string, string>> },
): Promise<boolean> {
  const { name, upload, etags, condition } = parts;
  const list = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
  const xml = Buffer.from(`<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`);
  const reply = await client.send({
    method: "POST",
    name,
    query: { uploadId: upload },
    headers: { "content-type": "application/xml", ...condition },
    body: {
      bytes: xml.length,
      sha256: createHash("sha256").update(xml).digest("hex"),
      open: async function* () {
        yield xml;
      },
    },
    idleTimeoutMs: COMPLETE_TIMEOUT_MS,
    isTotalTimeout: true,
    // If the first attempt succeeded and its response was lost, a second one would find no such upload.
    maxAttempts: 1,
  });
  if (reply.status === 412 || reply.status === 409) return false;
  if (reply.status >= 300) throw failed(name, `S3 answered ${reply.status} to the completion`);
  // S3 may send 200 first and fail afterwards.
  const answer = await client.text(reply);
  if (isResult(answer, "CompleteMultipartUploadResult")) return true;
  const code = errorCode(answer);
  if (code === "PreconditionFailed") return false;
  throw failed(name, `S3 answered ${code ?? "with another document"} to the completion`);
}

/** Parts that stay cost money. If this fails, a lifecycle rule of the bucket has to remove them. */
async function abort(client: S3Client, name: string, upload: string): Promise<void> {
  await client
    .send({ method: "DELETE", name, query: { uploadId: upload }, idleTimeoutMs: ABORT_TIMEOUT_MS, maxAttempts: 1 })
    .then(client.discard)
    .catch(() => undefined);
}

function failed(name: string, found: string): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot put "${name}" in parts: ${found}`);
}
