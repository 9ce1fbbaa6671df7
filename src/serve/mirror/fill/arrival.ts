// One answer of an origin while its body arrives: passes the bytes to the gate and to the spool, and tells the fill as
// soon as they show an image. At the end it judges them. It requests nothing and stores nothing.

import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import type { DigestName, Hashes, ImageFacts, Key, ObjectFormat, ObjectInfo } from "../../../core/object.ts";
import { createGate, type DeclaredDigests, type Verdict } from "../../body/gate/gate.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import type { SpoolPool } from "../../body/spool/spool-pool.ts";
import { describeObject } from "../../bucket/contract/bucket.ts";
import type { OriginAnswer, OriginSink } from "../../origin/origin.ts";
import type { FillEnd, FillHead } from "./fill-end.ts";

/** The services and settings that all bodies of one mirror share. */
export interface ArrivalContext {
  readonly spools: SpoolPool;
  /** The formats that are accepted; undefined: all. */
  readonly formats?: ReadonlySet<ObjectFormat> | undefined;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The fill that the body belongs to. */
interface Receiver {
  readonly key: Key;
  /** Called at most once, when the first bytes show an image, unless the body is complete by then. */
  announce(head: FillHead): void;
}

type Structure = Exclude<Verdict, { readonly kind: "broken" }>;

const DIGESTS: readonly DigestName[] = ["md5", "sha1"];

/** One answer of the origin, and the spool that takes its body. A class, because each miss makes one. */
export class Arrival implements OriginSink {
  /** Resolves when the message ended by its own framing; rejects if it broke off or cannot be used. */
  readonly received: Promise<void>;
  readonly #fill: Receiver;
  readonly #answer: OriginAnswer;
  readonly #requestedAt: number;
  readonly #context: ArrivalContext;
  readonly #spool: Spool;
  readonly #gate = createGate();
  #structure!: Structure;
  #isAnnounced = false;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /** Throws draining and not_kept if no spool can be opened; the body is destroyed then. */
  constructor(fill: Receiver, answer: OriginAnswer, requestedAt: number, context: ArrivalContext) {
    this.#fill = fill;
    this.#answer = answer;
    this.#requestedAt = requestedAt;
    this.#context = context;
    this.#spool = openSpool(context.spools, answer);
    this.#spool.onRefused = (reason) => this.#refuse(reason);
    this.received = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    answer.body.start(this);
  }

  data(chunk: Buffer): boolean {
    const [gate, spool, answer] = [this.#gate, this.#spool, this.#answer];
    gate.push(chunk);
    const refusal = this.#refusal();
    if (refusal !== undefined) return this.#refuse(refusal);
    const mayContinue = spool.write(chunk);
    const { image } = gate;
    if (!this.#isAnnounced && image !== undefined) {
      this.#isAnnounced = true;
      // A body that ends in the same read is judged before its head is announced, and is then known to be whole.
      const { size } = answer;
      if (spool.received !== size) setImmediate(() => this.#fill.announce(this.#head(size, image)));
    }
    if (!mayContinue) void spool.drained().then(() => answer.body.resume());
    return mayContinue;
  }

  end(): void {
    this.#resolve();
  }

  error(error: Error): void {
    this.#reject(error);
  }

  /** Judges the structure of a body whose bytes have all arrived. Throws the reason if it is unusable. */
  judge(): void {
    this.#spool.onRefused = undefined; // It holds this object.
    // Bytes that followed the end in the same read have raised the desync by now.
    if (this.#answer.desync.aborted)
      throw this.#unusable("origin_unexpected", "unrequested bytes followed it, so it may belong to another request");
    this.#structure = this.#verdict(true);
  }

  /** Completes the spool, also if the disk did not keep the body. Never rejects. */
  complete(): Promise<unknown> {
    return this.#spool.finish().catch(() => undefined);
  }

  /** The end of a body that was judged and completed: `whole`, `suspect` or `unstored`. */
  result(): FillEnd {
    const [answer, { end, received: size }] = [this.#answer, this.#spool];
    if (end === undefined || end.kind === "failed")
      throw end?.error ?? new Error("Cannot end a fill: its body did not");
    const { hashes } = end.kind === "whole" ? end.body : end;
    const verdict = matchesDeclared(answer.digests, hashes) ? this.#structure : this.#verdict(false);
    const damage = verdict.kind === "suspect" ? verdict.reason : undefined;
    const head = this.#head(size, verdict.image);
    if (end.kind === "whole" && damage !== undefined) return { kind: "suspect", head, body: end.body, damage };
    const info = describeFetched({ key: this.#fill.key, head, body: { size, hashes }, now: this.#context.now() });
    if (end.kind === "whole") return { kind: "whole", head, body: end.body, info };
    return { kind: "unstored", head, error: end.error, info, damage };
  }

  /** Fails the readers of the body, and releases the spool. */
  giveUp(reason: HuiyuanError): void {
    this.#spool.fail(reason);
    this.#spool.release();
  }

  #verdict(isHashRight: boolean): Structure {
    const { framing } = this.#answer;
    const verdict = this.#gate.verdict({ framing, isFramingWhole: framing !== "close", isHashRight });
    if (verdict.kind === "broken") throw this.#unusable(verdict.code, `${verdict.code}, a whole image is wanted`);
    return verdict;
  }

  /** Field by field: V8 takes microseconds for the rest of an object. */
  #head(size: number | undefined, image: ImageFacts): FillHead {
    const { isNotModified, url, size: length, framing, digests, etag, lastModified, life, headers } = this.#answer;
    const { headMs, desync } = this.#answer;
    const answer = {
      isNotModified,
      url,
      size: length,
      framing,
      digests,
      etag,
      lastModified,
      life,
      headers,
      headMs,
      desync,
    };
    return { size, image, answer, requestedAt: this.#requestedAt, spool: this.#spool };
  }

  /** The reason why the rest of the body is of no use; undefined: none so far. */
  #refusal(): HuiyuanError | undefined {
    const { head, image } = this.#gate;
    if (head === "foreign") return this.#unusable("origin_not_image", "origin_not_image, a whole image is wanted");
    if (image !== undefined && this.#context.formats?.has(image.format) === false)
      return this.#unusable("origin_type_refused", `${image.format} is not among allowedTypes`);
    const { end } = this.#spool;
    return end?.kind === "failed" ? end.error : undefined;
  }

  #refuse(reason: HuiyuanError): false {
    this.#answer.body.destroy();
    this.#reject(reason);
    return false;
  }

  #unusable(code: ErrorCode, found: string): HuiyuanError {
    return new HuiyuanError(code, `Cannot use the body of ${this.#answer.url}: ${found}`);
  }
}

/** If no spool can be opened, the body is destroyed. Throws draining and not_kept. */
function openSpool(spools: SpoolPool, { body, digests, size }: OriginAnswer): Spool {
  try {
    return spools.open({ size, digests: DIGESTS.filter((name) => digests[name] !== undefined) });
  } catch (error) {
    body.destroy();
    throw error;
  }
}

function matchesDeclared(declared: DeclaredDigests, hashes: Hashes): boolean {
  return (["md5", "sha1", "sha256"] as const).every(
    (name) => declared[name] === undefined || declared[name].toString("hex") === hashes[name],
  );
}

/** The description under which a fetched body is stored. `now`: Unix milliseconds. */
export function describeFetched(parts: {
  readonly key: Key;
  readonly head: FillHead;
  readonly body: Pick<WholeBody, "size" | "hashes">;
  readonly now: number;
  readonly isSuspect?: boolean;
}): ObjectInfo {
  const { key, body, now, isSuspect = false } = parts;
  const { answer, requestedAt, image } = parts.head;
  const { url: originUrl, etag: originEtag, lastModified, life, headers } = answer;
  const provenance = {
    via: "mirror",
    originUrl,
    originEtag,
    originLastModified: lastModified,
    fetchedAt: now,
    validated: { at: requestedAt, life },
  } as const;
  return describeObject({ key, body, image, headers, provenance, lastModified, isSuspect, now });
}
