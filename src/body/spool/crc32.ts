// CRC-32 of blocks, as zlib counts it. The package counts with the processor's carry-less multiplication, in a third of the
// time; it is optional, and where it has nothing for this platform node's own function gives the same numbers.
import { crc32 as portableCrc32 } from "node:zlib";

/** `sum`: of the bytes before these, of which there is then one at least; none by default. */
type Crc32 = (bytes: Buffer, sum?: number) => number;

// Fails where it is not installed, or has no binary for this platform.
const native = await import("@node-rs/crc32").catch(() => undefined);

export const crc32: Crc32 = native?.crc32 ?? portableCrc32;
