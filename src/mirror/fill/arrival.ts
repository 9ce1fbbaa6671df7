// Receives the body of one origin answer into a spool: announces its head once the format is known, and judges the body
// at its end. It sends no request and stores nothing.
import type { DeclaredDigests, Gate, Verdict } from "../../body/gate/gate.ts";
import type { Spool, SpoolEnd } from "../../body/spool/spool.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { Hashes, ImageFacts, ObjectFormat, ObjectInfo } from "../../core/object.ts";
import type { OriginAnswer } from "../../origin/origin.ts";
import type { BodyFacts, FillEnd, FillHead } from "./fill-end.ts";

export interface Arrival {
  readonly answer: OriginAnswer;
  readonly requestedAt: number;
  readonly spool: Spool;
  readonly gate: Gate;
  /** Called once the first bytes show an image; if the body fails before, no client has seen it. */
  readonly announce: (head: FillHead) => void;
  /** The description under which a whole body is stored. */
  readonly describe: (head: FillHead, body: BodyFacts) => ObjectInfo;
  /** The formats that are accepted; undefined: all. */
  readonly formats: ReadonlySet<ObjectFormat> | undefined;
}

/** Receives the body and returns how the fill ended. If the body is unusable, fails the spool and throws the reason. */
export async function receiveBody(arrival: Arrival): Promise<FillEnd> {
  const { answer, requestedAt, spool, gate } = arrival;
  try {
    await receive(arrival);
    // Bytes that followed the end in the same read have raised the desync by now.
    if (answer.body.desync.aborted) throw desyncedEnd(answer);
  } catch (error) {
    const reason = asHuiyuanError(error);
    spool.fail(reason);
    throw reason;
  }
  const { framing } = answer;
  const isFramingWhole = framing !== "close";
  const structure = gate.verdict({ framing, isFramingWhole, isHashRight: true });
  if (structure.kind === "broken") {
    const reason = brokenBody(structure, answer);
    spool.fail(reason);
    throw reason;
  }
  const head: FillHead = { size: spool.received, image: structure.image, answer, requestedAt, spool };
  const end = await finish(spool);
  const { hashes } = end.kind === "whole" ? end.body : end;
  const isHashRight = matchesDeclared(answer.digests, hashes);
  const verdict = isHashRight ? structure : gate.verdict({ framing, isFramingWhole, isHashRight });
  const damage = verdict.kind === "suspect" ? verdict.reason : undefined;
  if (end.kind === "whole" && damage !== undefined) return { kind: "suspect", head, body: end.body, damage };
  const info = arrival.describe(head, { size: spool.received, hashes });
  if (end.kind === "whole") return { kind: "whole", head, body: end.body, info };
  return { kind: "unstored", head, error: end.error, info, damage };
}

/** Called once all bytes have arrived. A body that the disk did not keep is judged like any other. */
async function finish(spool: Spool): Promise<Exclude<SpoolEnd, { readonly kind: "failed" }>> {
  try {
    return { kind: "whole", body: await spool.finish() };
  } catch (error) {
    if (spool.end?.kind === "unstored") return spool.end;
    throw error;
  }
}

/** Resolves when the message ended by its own framing; rejects if it broke off or cannot be used. */
function receive(arrival: Arrival): Promise<void> {
  const { answer, requestedAt, spool, gate, announce } = arrival;
  return new Promise((resolve, reject) => {
    let isAnnounced = false;
    const refuse = (reason: HuiyuanError) => {
      answer.body.destroy();
      reject(reason);
      return false;
    };
    spool.onRefused = refuse;
    answer.body.start({
      data(chunk) {
        gate.push(chunk);
        const refusal = refusalOf(arrival);
        if (refusal !== undefined) return refuse(refusal);
        const mayContinue = spool.write(chunk);
        const { image } = gate;
        if (!isAnnounced && image !== undefined) {
          isAnnounced = true;
          // A body that ends in the same read is judged before its head is announced, and is then known to be whole.
          setImmediate(() => announce({ size: answer.size, image, answer, requestedAt, spool }));
        }
        if (!mayContinue) void spool.drained().then(() => answer.body.resume());
        return mayContinue;
      },
      end: resolve,
      error: reject,
    });
  });
}

/** The reason why the rest of the body is of no use; undefined: none so far. */
function refusalOf({ answer, gate, spool, formats }: Arrival): HuiyuanError | undefined {
  if (gate.head === "foreign") return brokenBody({ kind: "broken", code: "origin_not_image" }, answer);
  const { image } = gate;
  if (image !== undefined && formats?.has(image.format) === false) return refusedFormat(image, answer);
  return spool.end?.kind === "failed" ? spool.end.error : undefined;
}

function desyncedEnd({ url }: OriginAnswer): HuiyuanError {
  const found = "unrequested bytes followed it, so it may belong to another request";
  return new HuiyuanError("origin_unexpected", `Cannot use the body of ${url}: ${found}`);
}

function refusedFormat({ format }: ImageFacts, { url }: OriginAnswer): HuiyuanError {
  return new HuiyuanError("origin_type_refused", `Cannot use the body of ${url}: ${format} is not among allowedTypes`);
}

function brokenBody(verdict: Extract<Verdict, { kind: "broken" }>, answer: OriginAnswer): HuiyuanError {
  return new HuiyuanError(
    verdict.code,
    `Cannot use the body of ${answer.url}: ${verdict.code}, a whole image is wanted`,
  );
}

function matchesDeclared(declared: DeclaredDigests, hashes: Hashes): boolean {
  return (["md5", "sha1", "sha256"] as const).every(
    (name) => declared[name] === undefined || declared[name].toString("hex") === hashes[name],
  );
}
