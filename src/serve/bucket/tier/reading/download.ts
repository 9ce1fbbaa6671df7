// Reads objects that are in the remote store only. Readers share a download for 40 s and read it while it arrives.
// Its hash is compared before the last byte is returned; then a copy is stored.
import { LiveMap } from "../../../../async/live-map.ts";
import { asHuiyuanError, HuiyuanError } from "../../../../core/errors.ts";
import type { ObjectInfo } from "../../../../core/object.ts";
import type { Spool, WholeBody } from "../../../body/spool/spool.ts";
import type { SpoolPool } from "../../../body/spool/spool-pool.ts";
import type { ObjectReader } from "../../contract/driver.ts";
import { READ_WAIT_MS, withReadDeadline } from "../../remote/read-deadline.ts";
import type { RemoteBucket } from "../../remote/remote.ts";

export interface DownloadsOptions {
  readonly remote: RemoteBucket;
  readonly spools: SpoolPool;
  /** Called before the request. */
  readonly beginRead: () => ReadStart;
  /** Called with a verified body, which is dropped afterwards. */
  readonly storeCopy: (info: ObjectInfo, body: WholeBody, start: ReadStart) => Promise<void>;
  /** Called if the bytes do not match the description. */
  readonly onDamaged: (info: ObjectInfo, version: string) => void;
}

/** When a read of the remote store began. */
export interface ReadStart {
  /** Rises with every change. */
  readonly revision: number;
  /** As ticks. */
  readonly at: number;
}

/** Up to this size no byte is returned before the whole object is verified. Bytes. */
const VERIFIED_FIRST_BYTES = 2_097_152;
const NEVER = new AbortController().signal;

interface Download {
  readonly spool: Spool;
  /** Resolves when the body has arrived and its hash matches. */
  readonly verified: Promise<void>;
}

export function createDownloads(options: DownloadsOptions) {
  const { remote, spools, storeCopy, onDamaged } = options;
  const running = new LiveMap<string, Promise<Download | undefined>>();

  async function begin(info: ObjectInfo, version: string): Promise<Download | undefined> {
    const start = options.beginRead();
    const body = await remote.get(info.key, version);
    if (body === undefined) return undefined;
    const spool = spools.open();
    const verified = receive({ info, version, body, spool, start });
    verified.catch(() => undefined); // Readers get the error; there may be none left.
    return { spool, verified };
  }

  async function receive(arrival: {
    info: ObjectInfo;
    version: string;
    body: AsyncIterable<Buffer>;
    spool: Spool;
    start: ReadStart;
  }): Promise<void> {
    const { info, version, body, spool, start } = arrival;
    try {
      await fill(spool, body, info.size);
    } catch (error) {
      const { end } = spool;
      // If the spool has failed, this disk and memory have no room, and nothing is wrong with the store.
      const failure = end?.kind === "failed" ? end.error : unreadable(info, asHuiyuanError(error).message, error);
      spool.fail(failure);
      throw failure;
    }
    const whole = await spool.finish().catch(() => undefined);
    const { end, received } = spool;
    if (end?.kind === "failed") throw end.error;
    // If the disk refuses the body, readers still get it from memory.
    const hashes = end?.kind === "unstored" ? end.hashes : whole?.hashes;
    if (received !== info.size || hashes?.sha256 !== info.hashes.sha256) {
      onDamaged(info, version);
      const found = `${received} bytes with another hash`;
      throw new HuiyuanError("store_corrupt", `Cannot read "${info.key}": the store has ${found}`);
    }
    if (whole !== undefined) await storeCopy(info, whole, start);
  }

  function share(info: ObjectInfo, version: string): Promise<Download | undefined> {
    const id = `${info.key}\n${version}\n${info.hashes.sha256}`;
    const shared = running.get(id);
    if (shared !== undefined) return shared;
    const begun = begin(info, version);
    running.set(id, begun);
    const over = () => {
      clearTimeout(timer);
      if (running.get(id) === begun) running.delete(id);
    };
    // The first readers have left by then. The body may trickle, so the next one asks the store anew.
    const timer = setTimeout(over, READ_WAIT_MS).unref();
    begun.then((download) => {
      if (download === undefined) return over();
      // The next turn, so that readers who joined in this one hold the spool by then.
      const end = () => {
        over();
        setImmediate(() => download.spool.release());
      };
      download.verified.then(end, end);
    }, over);
    return begun;
  }

  return {
    /** Undefined if the object is gone. The caller closes the reader. */
    async open(info: ObjectInfo, version: string): Promise<ObjectReader | undefined> {
      const download = await share(info, version);
      if (download === undefined) return undefined;
      download.spool.hold();
      return spoolReader(info, download);
    },
  };
}

/** Stops at the first chunk beyond `size`, because the body may have no end. */
async function fill(spool: Spool, body: AsyncIterable<Buffer>, size: number): Promise<void> {
  for await (const chunk of body) {
    const hasRoom = spool.write(chunk);
    if (spool.received > size) return;
    if (!hasRoom) await spool.drained();
  }
}

function spoolReader(info: ObjectInfo, { spool, verified }: Download): ObjectReader {
  let isOpen = true;
  const untilVerified = () => withReadDeadline(info.key, verified);
  return {
    async read(start, end) {
      if (info.size <= VERIFIED_FIRST_BYTES || end === info.size - 1) await untilVerified();
      const chunks: Buffer[] = [];
      for (let offset = start; offset <= end; ) {
        const chunk = (await spool.read(offset, NEVER))?.subarray(0, end + 1 - offset);
        if (chunk === undefined) {
          await untilVerified();
          throw unreadable(info, `it ends at byte ${offset}`);
        }
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
