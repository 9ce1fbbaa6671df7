// Decodes an uploaded image before it is stored, because magic bytes and structure do not show whether there are
// pixels. An image that is too large to be processed is accepted undecoded.
import type { WholeBody } from "../body/spool/spool.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { ImageFacts, Key } from "../core/object.ts";
import type { Renderer } from "../image/renderer.ts";

export interface Candidate {
  readonly fileid: Key;
  /** Bytes. */
  readonly size: number;
  readonly image: ImageFacts;
  /** Called once, when a renderer is free. */
  readonly load: () => Promise<WholeBody["content"]>;
}

/** Throws upload_not_image, render_overloaded, render_failed, store_failed and the errors of `load`. */
export type VerifyDecodable = (candidate: Candidate) => Promise<void>;

/** The image is too large for the decoder or for its time limit, so nothing is known about its pixels. */
const UNDECIDED: readonly ErrorCode[] = ["image_too_large", "image_too_heavy", "render_timeout"];

export function createVerifyDecodable(renderer: Pick<Renderer, "verify">): VerifyDecodable {
  return async ({ fileid, ...image }) => {
    try {
      // Never aborted: the file is stored even if the client disconnects after sending it.
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
