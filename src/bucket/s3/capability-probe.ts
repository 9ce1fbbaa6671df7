// Which conditions of a PUT this S3 obeys, tried with a temporary object, since some servers take the headers and ignore
// them; and whether it says with a 404 which request it was. What it does not obey is replaced by asking first (bucket.ts), which holds within one process only.
import { createHash, randomUUID } from "node:crypto";
import { asHuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { S3Client } from "./client.ts";
import type { HttpReply } from "./http-call.ts";
import { hasRequestId } from "./refusals.ts";

export interface Capabilities {
  /** `If-None-Match: *` */
  readonly absent: boolean;
  /** `If-Match: <etag>` */
  readonly version: boolean;
}

export interface CapabilityProbeOptions {
  /** The name of a temporary object begins so. */
  readonly prefix: string;
  readonly log: Log;
}

const IDLE_TIMEOUT_MS = 10_000;
/** After the end of a trial, before it may be made again. */
const MIN_INTERVAL_MS = 1_000;
/** For what is not there: one before the puts, the others behind them. */
const NOT_FOUND_CHECKS = 5;

/** What became of a put. `refused`: S3 does not take such a request. */
type Outcome = "stored" | "condition failed" | "refused";

export interface CapabilityProbe {
  /** The answer is kept; while S3 does not answer it throws store_failed or store_full, and the next call asks again. */
  capabilities(): Promise<Capabilities>;
  /** Asks anew behind what goes on, as S3 may say otherwise by now; once a second at the most. What is kept counts until then. */
  probeAgain(): void;
}

export function createCapabilityProbe(client: S3Client, options: CapabilityProbeOptions): CapabilityProbe {
  let known: Capabilities | undefined;
  let running: Promise<Capabilities> | undefined;
  let endedAt = Number.NEGATIVE_INFINITY;

  async function probeOnce(): Promise<Capabilities> {
    const found = await probeS3(client, options);
    if (found.absent !== known?.absent || found.version !== known?.version) logMissing(found, options.log);
    known = found;
    return found;
  }

  function start(): Promise<Capabilities> {
    running ??= probeOnce().finally(() => {
      running = undefined;
      endedAt = performance.now();
    });
    return running;
  }

  return {
    capabilities: async () => known ?? start(),
    probeAgain() {
      if (performance.now() - endedAt >= MIN_INTERVAL_MS) void start().catch(() => undefined);
    },
  };
}

function logMissing({ absent, version }: Capabilities, log: Log): void {
  if (absent && version) return;
  const missing = [absent ? "" : "If-None-Match", version ? "" : "If-Match"].filter(Boolean).join(" and ");
  log.warn(
    { missing },
    "this S3 ignores conditional puts: each is preceded by a look, so let only one huiyuan write to the bucket",
  );
}

async function probeS3(client: S3Client, { prefix }: CapabilityProbeOptions): Promise<Capabilities> {
  const name = `${prefix}.huiyuan-probe/${randomUUID()}`;
  const putText = (text: string, headers: Record<string, string>) => {
    const bytes = Buffer.from(text);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const body = {
      bytes: bytes.length,
      sha256,
      open: async function* () {
        yield bytes;
      },
    };
    return client.send({ method: "PUT", name, headers, body, idleTimeoutMs: IDLE_TIMEOUT_MS });
  };
  async function expectStored(reply: HttpReply): Promise<void> {
    // Nothing can be told from such an answer: it may be of what stands before S3.
    if (reply.status >= 300) throw client.unexpectedReply(`put "${name}"`, reply.status);
    await client.discard(reply);
  }
  async function tryPut(text: string, condition: Record<string, string>): Promise<Outcome> {
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
  /** How this S3 says that something is not there. A refusal for good is found out by the puts. */
  async function lacksRequestId(): Promise<boolean> {
    const nothing = `${name}-nothing`;
    try {
      const reply = await client.send({
        method: "HEAD",
        name: nothing,
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        isCapabilityProbe: true,
      });
      await client.discard(reply);
      return reply.status === 404 && !hasRequestId(reply);
    } catch (error) {
      if (client.mayRetry(error)) throw error;
      return false;
    }
  }
  const withRequestIdBefore = client.notFoundRule.withRequestId;
  let allLackRequestId = await lacksRequestId();
  try {
    await expectStored(await putText("first", {}));
    // Each would change the object if the condition were ignored; the last shows that the header is understood.
    const absent = (await tryPut("second", { "if-none-match": "*" })) === "condition failed";
    const etag = `"${createHash("md5").update("first").digest("hex")}"`;
    const wrong = `"${createHash("md5").update("another").digest("hex")}"`;
    const rejectsWrongEtag = absent && (await tryPut("third", { "if-match": wrong })) === "condition failed";
    const version = rejectsWrongEtag && (await tryPut("first", { "if-match": etag })) === "stored";
    // Not on the word of few answers: they may be of what stands before S3 just now.
    for (let check = 1; check < NOT_FOUND_CHECKS; check += 1) allLackRequestId &&= await lacksRequestId();
    if (allLackRequestId && client.notFoundRule.withRequestId === withRequestIdBefore)
      client.notFoundRule.trustWithoutRequestId();
    return { absent, version };
  } finally {
    await client
      .send({ method: "DELETE", name, idleTimeoutMs: IDLE_TIMEOUT_MS })
      .then(client.discard)
      .catch(() => undefined); // It is small, and says what it is.
  }
}
