// Pushes bodies through a gate, cut into chunks as a test needs. For tests only.
import { createGate, type Gate } from "../../src/serve/body/gate/gate.ts";

/** Returns the gate after the whole body arrived as one chunk. */
export function gated(...parts: readonly (Buffer | string)[]): Gate {
  const gate = createGate();
  gate.push(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part))));
  return gate;
}

/**
 * Returns the gate after the body arrived in chunks of these lengths, used in turn. Each chunk is overwritten after its
 * push, because the gate must not keep it.
 */
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

/**
 * Returns the byte count after which the structure was first whole, or undefined if never. Pushes one byte at a time,
 * so that every cut is tested.
 */
export function wholeAfter(body: Buffer): number | undefined {
  const gate = createGate();
  for (let at = 0; at < body.length; at += 1) {
    gate.push(body.subarray(at, at + 1));
    if (gate.isStructureWhole) return at + 1;
  }
  return undefined;
}
