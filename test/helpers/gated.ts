// Pushes bodies through a gate, cut as a test wants. For tests only.
import { createGate, type Gate } from "../../src/body/gate/gate.ts";

/** The gate after the whole body came as one chunk. */
export function gated(...parts: readonly (Buffer | string)[]): Gate {
  const gate = createGate();
  gate.push(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part))));
  return gate;
}

/** The gate after the body came in chunks of these lengths, taken in turn. Each chunk is wiped once it was pushed: nobody may keep it. */
export function gatedIn(body: Buffer, chunkLengths: readonly number[]): Gate {
  const gate = createGate();
  let turn = 0;
  for (let at = 0; at < body.length; ) {
    const chunk = Buffer.from(body.subarray(at, at + (chunkLengths[turn++ % chunkLengths.length] ?? body.length)));
    gate.push(chunk);
    at += chunk.length;
    chunk.fill(0xff);
  }
  return gate;
}

/** After how many bytes the structure first was whole; undefined: never. One byte at a time, so that every cut is seen. */
export function wholeAfter(body: Buffer): number | undefined {
  const gate = createGate();
  for (let at = 0; at < body.length; at += 1) {
    gate.push(body.subarray(at, at + 1));
    if (gate.isStructureWhole) return at + 1;
  }
  return undefined;
}
