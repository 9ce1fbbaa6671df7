// Which conditions of a PUT this S3 obeys: tried once with a temporary object, since some servers take the headers and
// ignore them. What it does not obey is replaced by asking first (bucket.ts), which holds within one process only.
import { createHash, randomUUID } from "node:crypto";
import type { Log } from "../../log.ts";
import type { S3Client } from "./client.ts";

export interface Conditions {
  /** `If-None-Match: *` */
  readonly absent: boolean;
  /** `If-Match: <etag>` */
  readonly version: boolean;
}

export interface ConditionProbe {
  /** The name of a temporary object begins so. */
  readonly prefix: string;
  readonly log: Log;
}

const PATIENCE_MS = 10_000;

/** The answer is kept; while S3 does not answer it throws store_failed, and the next call asks again. */
export function createConditions(client: S3Client, options: ConditionProbe): () => Promise<Conditions> {
  let asked: Promise<Conditions> | undefined;
  return () => {
    asked ??= ask(client, options).catch((error: unknown) => {
      asked = undefined;
      throw error;
    });
    return asked;
  };
}

async function ask(client: S3Client, { prefix, log }: ConditionProbe): Promise<Conditions> {
  const name = `${prefix}.huiyuan-probe/${randomUUID()}`;
  /** True when it was stored, false when the condition was obeyed or the header refused. */
  async function isPut(text: string, headers: Record<string, string>): Promise<boolean> {
    const bytes = Buffer.from(text);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const body = {
      bytes: bytes.length,
      sha256,
      open: async function* () {
        yield bytes;
      },
    };
    const reply = await client.send({ method: "PUT", name, headers, body, patienceMs: PATIENCE_MS });
    if (reply.status < 300) await client.drop(reply);
    return reply.status < 300;
  }
  /** A refusal for good is an answer too; one that may pass says nothing of the condition. */
  const unlessPassing = (answer: boolean) => (error: unknown) => {
    if (client.mayPass(error)) throw error;
    return answer;
  };
  // What is not there: the client learns from it how this S3 says so. A failure is found out by the puts.
  await client.send({ method: "HEAD", name, patienceMs: PATIENCE_MS, tries: 1 }).catch(() => undefined);
  try {
    await isPut("first", {});
    // Each would change the object if the condition were ignored; the last shows that the header is understood.
    const absent = !(await isPut("second", { "if-none-match": "*" }).catch(unlessPassing(true)));
    const etag = `"${createHash("md5").update("first").digest("hex")}"`;
    const wrong = `"${createHash("md5").update("another").digest("hex")}"`;
    const isWrongRefused = absent && !(await isPut("third", { "if-match": wrong }).catch(unlessPassing(true)));
    const version = isWrongRefused && (await isPut("first", { "if-match": etag }).catch(unlessPassing(false)));
    if (!absent || !version) {
      const missing = [absent ? "" : "If-None-Match", version ? "" : "If-Match"].filter(Boolean).join(" and ");
      log.warn(
        { missing },
        "this S3 ignores conditional puts: each is preceded by a look, so let only one huiyuan write to the bucket",
      );
    }
    return { absent, version };
  } finally {
    await client
      .send({ method: "DELETE", name, patienceMs: PATIENCE_MS })
      .then(client.drop)
      .catch(() => undefined); // It is small, and says what it is.
  }
}
