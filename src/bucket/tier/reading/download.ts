// Reading what lies in the remote store only: fetched once for all who ask, readable while it arrives, its hash compared
// before the last byte is given out, then kept on this disk. What is too large to be kept is large.ts.

import { createHash, type Hash } from "node:crypto";
import { LiveMap } from "../../../async/live-map.ts";
import type { Spool, WholeBody } from "../../../body/spool/spool.ts";
import type { SpoolPool } from "../../../body/spool/spool-pool.ts";
import { asHuiyuanError, HuiyuanError } from "../../../core/errors.ts";
import type { ObjectInfo } from "../../../core/object.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import { withReadDeadline } from "../../remote/read-deadline.ts";
import type { RemoteBucket } from "../../remote/remote.ts";
import { createLargeObjects } from "./large.ts";

export interface Downloads {
  /** Undefined when the object is not there any more. The caller closes the reader. */
  open(info: ObjectInfo, version: string): Promise<ObjectReader | undefined>;
  /** The same once all of it has come and is right, whatever its size. Throws as its reader. */
  downloadWhole(info: ObjectInfo, version: string): Promise<ObjectReader | undefined>;
  /** A body that has just been put: what is too large to be kept is known by its sums. */
  rememberSums(body: WholeBody): void;
}

export interface DownloadsOptions {
  readonly remote: RemoteBucket;
  readonly spools: SpoolPool;
  /** Larger objects are read in ranges and not kept. Bytes. */
  readonly maxCopyBytes: () => number;
  /** Rises with every change: read before the remote store is asked, handed to `keep`. */
  readonly moment: () => number;
  /** Takes what has come whole and is what it was described as; what it does not take is dropped. */
  readonly storeCopy: (info: ObjectInfo, body: WholeBody, readAt: number) => Promise<void>;
  /** The bytes are not those of the description. */
  readonly onDamaged: (info: ObjectInfo, version: string) => void;
}

/** Up to here nothing is given out before all of it is proven. Bytes. */
const VERIFIED_FIRST_BYTES = 2_097_152;
const NEVER = new AbortController().signal;

interface Download {
  readonly spool: Spool;
  /** Resolves when the body has come and its hash is right. */
  readonly verified: Promise<void>;
}

export function createDownloads(options: DownloadsOptions): Downloads {
  const { remote, spools, maxCopyBytes, storeCopy, onDamaged } = options;
  const running = new LiveMap<string, Promise<Download | undefined>>();
  const large = createLargeObjects({ remote, onDamaged });

  async function begin(info: ObjectInfo, version: string): Promise<Download | undefined> {
    const readAt = options.moment();
    const body = await remote.get(info.key, version);
    if (body === undefined) return undefined;
    const spool = spools.open();
    const verified = receive({ info, version, body, spool, readAt });
    verified.catch(() => undefined); // Whoever reads is told; perhaps nobody does any more.
    return { spool, verified };
  }

  async function receive(arrival: {
    info: ObjectInfo;
    version: string;
    body: AsyncIterable<Buffer>;
    spool: Spool;
    readAt: number;
  }): Promise<void> {
    const { info, version, body, spool, readAt } = arrival;
    const sha256 = createHash("sha256");
    try {
      await fill(spool, body, { sha256, size: info.size });
    } catch (error) {
      const failure = unreadable(info, asHuiyuanError(error).message, error);
      spool.fail(failure);
      throw failure;
    }
    if (spool.received !== info.size || sha256.digest("hex") !== info.hashes.sha256) {
      const found = `${spool.received} bytes with another hash`;
      const failure = new HuiyuanError("store_corrupt", `Cannot read "${info.key}": the store has ${found}`);
      spool.fail(failure);
      onDamaged(info, version);
      throw failure;
    }
    // A disk that cannot keep it does not keep it from its readers.
    await spool.finish().then(
      (whole) => storeCopy(info, whole, readAt),
      () => undefined,
    );
  }

  function share(info: ObjectInfo, version: string): Promise<Download | undefined> {
    const id = `${info.key}\n${version}\n${info.hashes.sha256}`;
    const shared = running.get(id);
    if (shared !== undefined) return shared;
    const begun = begin(info, version);
    running.set(id, begun);
    const over = () => void running.delete(id);
    begun.then((download) => {
      if (download === undefined) return over();
      // Whoever came while it ran has taken a hold by then.
      const end = () => {
        over();
        setImmediate(() => download.spool.release());
      };
      download.verified.then(end, end);
    }, over);
    return begun;
  }

  async function openShared(info: ObjectInfo, version: string): Promise<ObjectReader | undefined> {
    const download = await share(info, version);
    if (download === undefined) return undefined;
    download.spool.hold();
    return spoolReader(info, download, () => large.open(info, version));
  }

  return {
    rememberSums(body) {
      if (body.size > maxCopyBytes()) large.rememberSums(body);
    },
    async open(info, version) {
      return info.size > maxCopyBytes() ? large.open(info, version) : openShared(info, version);
    },
    async downloadWhole(info, version) {
      const reader = await openShared(info, version);
      try {
        await reader?.proven?.();
        return reader;
      } catch (error) {
        reader?.close();
        throw error;
      }
    },
  };
}

/** Takes no more than the piece that is too many: there may be no end of them. */
async function fill(
  spool: Spool,
  body: AsyncIterable<Buffer>,
  { sha256, size }: { readonly sha256: Hash; readonly size: number },
): Promise<void> {
  for await (const chunk of body) {
    sha256.update(chunk);
    const hasRoom = spool.write(chunk);
    if (spool.received > size) return;
    if (!hasRoom) await spool.drained();
  }
}

/** `again`: reads it in ranges, for a disk that takes nothing lets go by what is not read at once. */
function spoolReader(info: ObjectInfo, { spool, verified }: Download, openRanges: () => ObjectReader): ObjectReader {
  let isOpen = true;
  let ranges: ObjectReader | undefined;

  /** Nobody may wait for this reader meanwhile, which waits for all of them. */
  async function untilVerified(): Promise<void> {
    const stopWaiting = spool.awaitEnd();
    await withReadDeadline(info.key, verified).finally(stopWaiting);
  }

  return {
    async read(start, end) {
      if (info.size <= VERIFIED_FIRST_BYTES || end === info.size - 1) await untilVerified();
      if (spool.end?.kind === "unstored" && spool.peek(start) === undefined) {
        ranges ??= openRanges();
        return ranges.read(start, end);
      }
      const chunks: Buffer[] = [];
      for (let offset = start; offset <= end; ) {
        const chunk = (await spool.read(offset, NEVER))?.subarray(0, end + 1 - offset);
        if (chunk === undefined) throw unreadable(info, `it ends at byte ${offset}`);
        chunks.push(chunk);
        offset += chunk.length;
      }
      const [only] = chunks;
      return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
    },
    proven: untilVerified,
    close() {
      if (isOpen) spool.release();
      isOpen = false;
    },
  };
}

function unreadable(info: ObjectInfo, found: string, cause?: unknown): HuiyuanError {
  return new HuiyuanError("store_failed", `Cannot read "${info.key}" from the store: ${found}`, { cause });
}
