// CRC-32 of blocks with zlib's result. The package uses carry-less multiplication and needs a third of the time. It is
// optional: node's own function takes over on platforms without a binary.
import { crc32 as portableCrc32 } from "node:zlib";

/** `sum`: the CRC of the preceding bytes; it requires at least one byte here. Default: no preceding bytes. */
type Crc32 = (bytes: Buffer, sum?: number) => number;

// The import fails if the package is not installed or has no binary for this platform.
const native = await import("@node-rs/crc32").catch(() => undefined);

export const crc32: Crc32 = native?.crc32 ?? portableCrc32;
