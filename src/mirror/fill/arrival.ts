// The body of one answer on its way into a spool: when its head may go out, and what it was when it has ended.
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
  /** Called once the image is known to be one; a body that fails before is nobody's yet. */
  readonly announce: (head: FillHead) => void;
  /** Whoever waited for the head has it. */
  readonly begin: () => void;
  /** The description under which a whole body is stored. */
  readonly describe: (head: FillHead, body: BodyFacts) => ObjectInfo;
  /** The formats that are accepted; undefined: all. */
  readonly formats: ReadonlySet<ObjectFormat> | undefined;
}

/** Takes the body in and says what it was. Throws the reason when it may not be used, after telling the spool. */
export async function receiveBody(arrival: Arrival): Promise<FillEnd> {
  const { answer, requestedAt, spool, gate } = arrival;
  try {
    await receive(arrival);
    // What came in the same read behind its end has been seen by now.
    if (answer.desync?.isRaised === true) throw desyncedEnd(answer);
  } catch (error) {
    const reason = asHuiyuanError(error);
    spool.fail(reason);
    throw reason;
  }
  const { framing } = answer;
  const isFramingWhole = framing !== "close";
  const structural = gate.verdict({ framing, isFramingWhole, isHashRight: true });
  if (structural.kind === "broken") {
    const reason = brokenBody(structural, answer);
    spool.fail(reason);
    throw reason;
  }
  const head: FillHead = { size: spool.received, image: structural.image, answer, requestedAt, spool };
  const end = await finish(spool);
  const { hashes } = end.kind === "whole" ? end.body : end;
  const isHashRight = matchesDeclared(answer.digests, hashes);
  const verdict = isHashRight ? structural : gate.verdict({ framing, isFramingWhole, isHashRight });
  const damage = verdict.kind === "suspect" ? verdict.reason : undefined;
  if (end.kind === "whole" && damage !== undefined) return { kind: "suspect", head, body: end.body, damage };
  const info = arrival.describe(head, { size: spool.received, hashes });
  if (end.kind === "whole") return { kind: "whole", head, body: end.body, info };
  return { kind: "unstored", head, error: end.error, info, damage };
}

/** All bytes have come. What the disk did not keep is judged as any other. */
async function finish(spool: Spool): Promise<Exclude<SpoolEnd, { readonly kind: "failed" }>> {
  try {
    return { kind: "whole", body: await spool.finish() };
  } catch (error) {
    if (spool.end?.kind === "unstored") return spool.end;
    throw error;
  }
}

/** Resolves when the message ended by its own framing; rejects when it broke or is no image. */
function receive({ answer, requestedAt, spool, gate, announce, begin, formats }: Arrival): Promise<void> {
  return new Promise((resolve, reject) => {
    let isAnnounced = false;
    answer.body.start({
      data(chunk) {
        gate.push(chunk);
        if (gate.head === "foreign") {
          answer.body.destroy();
          reject(brokenBody({ kind: "broken", code: "origin_not_image" }, answer));
          return false;
        }
        const image = gate.image;
        if (image !== undefined && formats?.has(image.format) === false) {
          answer.body.destroy();
          reject(refusedFormat(image, answer));
          return false;
        }
        const goOn = spool.write(chunk);
        if (!isAnnounced && image !== undefined) {
          isAnnounced = true;
          // A body that ends in the same read is judged before its head goes out, and can be said to be whole.
          setImmediate(() => {
            announce({ size: answer.size, image, answer, requestedAt, spool });
            setImmediate(begin);
          });
        }
        // So long a beginning that shows no image is waited for by nobody.
        if (!isAnnounced && !goOn) begin();
        if (!goOn) void spool.drained().then(() => answer.body.resume());
        return goOn;
      },
      end: resolve,
      error: reject,
    });
  });
}

function desyncedEnd({ url }: OriginAnswer): HuiyuanError {
  const found = "more came behind it than was asked for, so that it may belong to another request";
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
