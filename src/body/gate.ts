// The proof that a body is a whole image: framing, magic, structure and declared hashes, read as the bytes stream by.
// No decoding and no I/O. What is done with the verdict is mirror/'s affair.
import type { ErrorCode } from "../errors.ts";
import type { ImageFacts } from "../object.ts";

/** How the origin's message was delimited. `length`: Content-Length. `chunked`: ended by the last chunk. `close`: by closing. */
export type Framing = "length" | "chunked" | "close";

/** Digests that the origin's head declared, raw bytes. */
export interface DeclaredDigests {
  readonly md5?: Buffer;
  readonly sha1?: Buffer;
  readonly sha256?: Buffer;
}

/**
 * `whole`: may be stored. `suspect`: known magic and the declared length met, but structure or a declared hash is
 * wrong; may be passed on, never stored as good. `broken`: a truncated, empty or foreign body; `code` says which.
 */
export type Verdict =
  | { readonly kind: "whole"; readonly image: ImageFacts }
  | { readonly kind: "suspect"; readonly image: ImageFacts; readonly reason: "structure" | "hash" }
  | {
      readonly kind: "broken";
      readonly code: Extract<ErrorCode, "origin_truncated" | "origin_empty" | "origin_not_image">;
    };

/** Watches one body go by. Holds at most a few KiB, whatever the body does. */
export interface Gate {
  /** The next bytes, in order. */
  push(chunk: Buffer): void;
  /** `more`: too few bytes to tell; `image`: known magic (facts may still lack the size); `foreign`: no image that we take. */
  readonly head: "more" | "image" | "foreign";
  /** Undefined until `head` is `image`. */
  readonly image: ImageFacts | undefined;
  /** True once the structure is complete; trailing bytes after a complete image are fine. */
  readonly isStructureWhole: boolean;
  /**
   * The verdict at the end of the body. `isFramingWhole`: the declared length was met, or the last chunk seen; always
   * false for `close`, where only structure can prove anything. `isHashRight`: false when a declared digest differs.
   */
  verdict(end: { readonly isFramingWhole: boolean; readonly framing: Framing; readonly isHashRight: boolean }): Verdict;
}
