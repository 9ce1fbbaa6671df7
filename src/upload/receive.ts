// Takes the file part of a form in: into a spool, past the gate, never whole in memory. What may be done with it is said
// elsewhere.
import type { Readable } from "node:stream";
import { createGate } from "../body/gate/gate.ts";
import type { Spool, WholeBody } from "../body/spool/spool.ts";
import { asHuiyuanError, type ErrorCode, HuiyuanError } from "../core/errors.ts";
import type { ImageFacts } from "../core/object.ts";

/** A file that has arrived. Its body is the spool's, and gone with the last hold on that. */
export interface Received {
  readonly body: WholeBody;
  /** Undefined: no whole image. */
  readonly image: ImageFacts | undefined;
}

/** Throws `tooLarge` beyond `maxBytes`, what breaks the stream, store_full and store_failed. The spool stays the caller's. */
export async function receiveFile(
  file: Readable,
  { spool, maxBytes, tooLarge }: { readonly spool: Spool; readonly maxBytes: number; readonly tooLarge: ErrorCode },
): Promise<Received> {
  const gate = createGate();
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      if (spool.received + chunk.byteLength > maxBytes) {
        throw new HuiyuanError(tooLarge, `Cannot take a file of over ${maxBytes} bytes`);
      }
      gate.push(chunk);
      if (!spool.write(chunk)) await spool.drained();
    }
  } catch (error) {
    // A form that breaks in the middle breaks its file with a code, but the parser's own words arrive before it.
    const known = error instanceof HuiyuanError ? error : asHuiyuanError(file.errored ?? error);
    spool.fail(known);
    throw known;
  }
  // The form's own boundary has ended it, as a last chunk does.
  const verdict = gate.verdict({ framing: "chunked", isFramingWhole: true, isHashRight: true });
  return { body: await spool.finish(), image: verdict.kind === "whole" ? verdict.image : undefined };
}
