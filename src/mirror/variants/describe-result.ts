// Proves a result of the renderer and describes it as a stored object. It stores nothing.
import { createGate } from "../../body/gate/gate.ts";
import { digestBytes } from "../../body/spool/hashing.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { describeObject } from "../../bucket/contract/bucket.ts";
import { HuiyuanError } from "../../core/errors.ts";
import { type ImageFacts, type Key, MADE_HERE, type ObjectInfo } from "../../core/object.ts";

/** A proven result, ready to be sent and stored. */
export interface Result {
  readonly info: ObjectInfo;
  readonly body: WholeBody;
  readonly bytes: Buffer;
}

const OPENING_BRACE = 0x7b;
/** The bucket of variants is always on this disk, and needs no other digest than SHA-256. */
const NO_DIGESTS: ReadonlySet<never> = new Set();

/** `now`: Unix milliseconds. Throws render_failed if the result is neither a whole image nor facts about one. */
export function describeResult(key: Key, bytes: Buffer, now: number): Result {
  const image = provenImage(bytes);
  const body = {
    size: bytes.length,
    ...digestBytes(bytes, NO_DIGESTS),
    content: { kind: "buffer", buffer: bytes },
  } as const;
  const provenance = {
    via: "mirror",
    originUrl: MADE_HERE,
    originEtag: undefined,
    originLastModified: undefined,
    fetchedAt: now,
    validated: { at: now, life: {} },
  } as const;
  return { info: describeObject({ key, body, image, provenance, now }), body, bytes };
}

function provenImage(bytes: Buffer): ImageFacts {
  // No image begins with a brace. A result that does is JSON of this program.
  if (bytes[0] === OPENING_BRACE) return { format: "json", width: undefined, height: undefined };
  const gate = createGate();
  gate.push(bytes);
  const verdict = gate.verdict({ framing: "length", isFramingWhole: true, isHashRight: true });
  if (verdict.kind === "whole") return verdict.image;
  throw new HuiyuanError("render_failed", `Cannot process: the result is no whole image (${verdict.kind})`);
}
