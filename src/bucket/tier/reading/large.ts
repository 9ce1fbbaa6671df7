// Reading what is too large for a copy on this disk: each read is a request for a range. A read from the first byte to the
// last is hashed as it goes by; any other is compared, block by block, with sums of bytes whose hash was right.
import { crc32 } from "../../../body/spool/crc32.ts";
import { type BodyHasher, createBodyHasher } from "../../../body/spool/hashing.ts";
import { BLOCK_BYTES, type WholeBody } from "../../../body/spool/spool.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { ObjectInfo } from "../../../core/object.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import { provenInTime } from "../../remote/proof.ts";
import type { RemoteBucket } from "../../remote/remote.ts";

export interface LargeObjects {
  open(info: ObjectInfo, version: string): ObjectReader;
  /** The sums of a body that has just been put. */
  learn(body: Pick<WholeBody, "hashes" | "blockSums">): void;
}

export interface LargeObjectsOptions {
  readonly remote: Pick<RemoteBucket, "get" | "getRange">;
  /** The bytes are not those of the description. */
  readonly damaged: (info: ObjectInfo, version: string) => void;
}

/** Of the sums that are kept, 4 bytes for each 64 KiB: those of 128 GiB. What was used longest ago goes first. */
const MAX_SUM_BYTES = 8_388_608;
/** Objects that are read through at the same time, and those that wait for it. */
const PLACES = 4;
const MAX_WAITING = 100;
const NO_DIGESTS = new Set<never>();

export function createLargeObjects({ remote, damaged }: LargeObjectsOptions): LargeObjects {
  const known = createSums();
  const proving = new Map<string, Promise<Buffer>>();
  const line: (() => void)[] = [];
  let taken = 0;

  function corrupt(info: ObjectInfo, version: string): HuiyuanError {
    damaged(info, version);
    return new HuiyuanError("store_corrupt", `Cannot read "${info.key}": the store has other bytes than were stored`);
  }

  /** Ends the hash of all bytes. Throws store_corrupt, or remembers the sums. */
  function settle(info: ObjectInfo, version: string, hasher: BodyHasher): Buffer {
    const { hashes, blockSums } = hasher.digest();
    if (hashes.sha256 !== info.hashes.sha256) throw corrupt(info, version);
    known.set(hashes.sha256, blockSums);
    return blockSums;
  }

  async function enter(): Promise<void> {
    if (taken < PLACES) {
      taken += 1;
      return;
    }
    if (line.length >= MAX_WAITING) throw new HuiyuanError("overloaded", "Cannot read: too many wait to be proven");
    await new Promise<void>((resolve) => line.push(resolve));
  }

  function leave(): void {
    const next = line.shift();
    if (next === undefined) taken -= 1;
    else next();
  }

  /** Reads all of it once and keeps nothing but the sums. */
  async function readThrough(info: ObjectInfo, version: string): Promise<Buffer> {
    await enter();
    try {
      const body = await remote.get(info.key, version);
      if (body === undefined) throw changed(info);
      const hasher = createBodyHasher(NO_DIGESTS);
      let bytes = 0;
      for await (const piece of body) {
        bytes += piece.length;
        // There may be no end of them.
        if (bytes > info.size) throw corrupt(info, version);
        hasher.update(piece);
      }
      return settle(info, version, hasher);
    } catch (error) {
      if (error instanceof HuiyuanError) throw error;
      throw unreadable(info, asHuiyuanError(error).message, error);
    } finally {
      leave();
    }
  }

  function verify(info: ObjectInfo, version: string): Promise<Buffer> {
    const sums = known.get(info.hashes.sha256);
    if (sums !== undefined) return Promise.resolve(sums);
    const id = `${info.key}\n${version}\n${info.hashes.sha256}`;
    const begun = proving.get(id) ?? readThrough(info, version).finally(() => proving.delete(id));
    proving.set(id, begun);
    return provenInTime(info.key, begun);
  }

  async function getRange(info: ObjectInfo, version: string, start: number, end: number): Promise<Buffer> {
    const bytes = await remote.getRange(info.key, version, { start, end });
    if (bytes === undefined) throw changed(info);
    return bytes;
  }

  return {
    learn: ({ hashes, blockSums }) => known.set(hashes.sha256, blockSums),
    open(info, version) {
      const { sha256 } = info.hashes;
      let hasher: BodyHasher | undefined;
      let hashed = 0;
      return {
        async read(start, end) {
          if (start !== hashed || (hasher === undefined && known.get(sha256) !== undefined)) {
            const sums = await verify(info, version);
            const from = start - (start % BLOCK_BYTES);
            const to = Math.min(info.size, end + BLOCK_BYTES - (end % BLOCK_BYTES)) - 1;
            const bytes = await getRange(info, version, from, to);
            if (!isRight(bytes, sums, from / BLOCK_BYTES)) throw corrupt(info, version);
            return bytes.subarray(start - from, end + 1 - from);
          }
          const bytes = await getRange(info, version, start, end);
          hasher ??= createBodyHasher(NO_DIGESTS);
          hasher.update(bytes);
          hashed += bytes.length;
          if (hashed === info.size) settle(info, version, hasher);
          return bytes;
        },
        proven: () => verify(info, version).then(() => undefined),
        close() {},
      };
    },
  };
}

/** `bytes`: whole blocks, the first of them number `first`. */
function isRight(bytes: Buffer, sums: Buffer, first: number): boolean {
  for (let at = 0, block = first; at < bytes.length; at += BLOCK_BYTES, block += 1) {
    const isKnown = sums.length >= (block + 1) * 4;
    if (!isKnown || crc32(bytes.subarray(at, at + BLOCK_BYTES)) !== sums.readUInt32BE(block * 4)) return false;
  }
  return true;
}

/** Block sums by SHA-256, which names the bytes wherever they lie. */
function createSums(): { get(sha256: string): Buffer | undefined; set(sha256: string, sums: Buffer): void } {
  const kept = new Map<string, Buffer>();
  let bytes = 0;
  const drop = (sha256: string) => {
    bytes -= kept.get(sha256)?.byteLength ?? 0;
    kept.delete(sha256);
  };
  return {
    get(sha256) {
      const sums = kept.get(sha256);
      if (sums === undefined) return undefined;
      kept.delete(sha256);
      kept.set(sha256, sums);
      return sums;
    },
    set(sha256, sums) {
      drop(sha256);
      kept.set(sha256, sums);
      bytes += sums.byteLength;
      for (const oldest of kept.keys()) {
        if (bytes <= MAX_SUM_BYTES) return;
        drop(oldest);
      }
    },
  };
}

/** Not before it is read: nothing is held open there, as a file is. */
function changed({ key }: ObjectInfo): HuiyuanError {
  const message = `Cannot read "${key}": it was replaced or deleted meanwhile`;
  return new HuiyuanError("original_replaced", message, { retryAfterSeconds: 1 });
}

function unreadable(info: ObjectInfo, found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read "${info.key}" from the store: ${found}`, { cause });
}
