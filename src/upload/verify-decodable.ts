// What is uploaded is decoded before it is stored: magic and structure do not tell whether there are pixels. An image that is
// beyond what may be processed is taken as it is, since it could not be told from a good one.
import type { WholeBody } from "../body/spool/spool.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { ImageFacts, Key } from "../core/object.ts";
import type { Renderer } from "../image/renderer.ts";

export interface Candidate {
  readonly fileid: Key;
  /** Bytes. */
  readonly size: number;
  readonly image: ImageFacts;
  /** Called once, when it is this image's turn. */
  readonly load: () => Promise<WholeBody["content"]>;
}

/** Throws upload_not_image, render_overloaded, render_failed, store_failed and what `load` throws. */
export type VerifyDecodable = (candidate: Candidate) => Promise<void>;

/** Too much for the decoder, or for its time. */
const UNDECIDED: readonly ErrorCode[] = ["image_too_large", "image_too_heavy", "render_timeout"];

export function createVerifyDecodable(renderer: Pick<Renderer, "verify">): VerifyDecodable {
  return async ({ fileid, ...image }) => {
    try {
      // Whoever has sent all of it may leave: it is stored all the same.
      const { signal } = new AbortController();
      await renderer.verify({ ...image, signal });
    } catch (error) {
      const known = asHuiyuanError(error);
      if (UNDECIDED.includes(known.code)) return;
      if (known.code !== "image_not_processable") throw known;
      throw new HuiyuanError("upload_not_image", `Cannot store "${fileid}": ${known.message}`, { cause: known });
    }
  };
}
