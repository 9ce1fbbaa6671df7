// One bucket of the embedded store. Reads use the catalogue on the event loop; every change and every small body passes
// through the writer thread. Large bodies are first written to files, which the writer only renames.
import { setImmediate as immediate } from "node:timers/promises";
import { storeFailure } from "../../../core/disk-failure.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import { removeFile, syncFile, writeSyncedFile } from "../../../core/files.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { WholeBody } from "../../body/spool/spool.ts";
import { readWhole } from "../contract/bucket.ts";
import type {
  BucketDriver,
  ListOptions,
  ListPage,
  ObjectReader,
  PendingCertainty,
  PutCondition,
  PutResult,
} from "../contract/driver.ts";
import type { EntryCache } from "./catalogue/entry-cache.ts";
import type { CatalogueReads, ListedState, RowFacts, RowState } from "./catalogue/reads.ts";
import type { PutRequest } from "./catalogue/write-operations.ts";
import type { FreeSpace } from "./free-space.ts";
import type { BlobReaders } from "./packs/blob-reader.ts";
import { MAX_PACKED_BYTES, type Writer } from "./writer/writer.ts";

/** A bucket of this disk. A remote store may have objects of it too: the pending ones wait for their upload. */
export interface FsBucket extends BucketDriver {
  put(
    info: ObjectInfo,
    body: WholeBody,
    condition: PutCondition,
    certainty?: PendingCertainty | undefined,
  ): Promise<PutResult>;
  /** The remote store has this object now. One durable step. False if the key has another object, or none. */
  confirm(key: Key, sha256: string): Promise<boolean>;
  /**
   * Drops an object that is also stored elsewhere. Leaves no tombstone and keeps the epoch. False if the key has
   * another object, or none. A pending object stays, unless `evenPending`.
   */
  forget(key: Key, sha256: string, evenPending?: boolean): Promise<boolean>;
  /** `only`: default "any". */
  list(options: ListOptions, only?: ListedState): Promise<ListPage>;
  /** A page of rows behind a key, damaged ones too. */
  rows(state: RowState, after: string): Promise<RowFacts[]>;
}

/** The parts that all buckets of a store share. */
export interface FsBucketParts {
  readonly reads: CatalogueReads;
  /** Invalidated by the writer's `onEnded`. */
  readonly entryCache: EntryCache;
  readonly writer: Writer;
  readonly readers: BlobReaders;
  readonly freeSpace: FreeSpace;
  /** Returns a path on the store's file system, a new one on each call. */
  readonly newFilePath: () => string;
}

export function createFsBucket(bucket: string, parts: FsBucketParts): FsBucket {
  const { reads, entryCache, writer, readers, freeSpace, newFilePath } = parts;
  /** A download opens the object that it has just looked up, so the cached entry spares a second query. */
  function isCurrent(info: ObjectInfo): boolean {
    return entryCache.get(bucket, info.key)?.info === info || reads.sha256Of(bucket, info.key) === info.hashes.sha256;
  }

  /**
   * If equal bytes are stored already, an upload relies on them, and nobody can provide an upload again. So they are
   * read once before. If they are damaged, their reader quarantines them and the new bytes are stored.
   */
  async function verifyEqualBlob({ hashes: { sha256 }, size }: ObjectInfo): Promise<void> {
    if (reads.blob(sha256) === undefined) return;
    let reader: ObjectReader | undefined;
    try {
      reader = await readers.open(sha256, size);
      if (reader !== undefined) await readWhole(reader, size);
    } catch (error) {
      if (!(error instanceof HuiyuanError && error.code === "store_corrupt")) throw error;
    } finally {
      reader?.close();
    }
  }

  /** No async function: most puts of a miss need no step before the writer's. */
  function put(
    info: ObjectInfo,
    body: WholeBody,
    condition: PutCondition,
    certainty?: PendingCertainty,
  ): Promise<PutResult> {
    const free = freeSpace.check();
    const { content } = body;
    const isPacked = content.kind === "buffer" && content.buffer.byteLength <= MAX_PACKED_BYTES;
    const blockSums = body.blockSums.toString("latin1");
    const request = { bucket, info, blockSums, condition, certainty, source: undefined };
    const isMirrored = info.provenance.via !== "upload";
    if (isPacked && isMirrored && free === undefined) return writer.submit("put", request, content.buffer);
    return prepare(info, free).then(() =>
      isPacked ? writer.submit("put", request, content.buffer) : putFile(request, content),
    );
  }

  async function prepare(info: ObjectInfo, free: Promise<void> | undefined): Promise<void> {
    try {
      await free;
    } catch (error) {
      // Bytes that are stored already need no space.
      if (reads.blob(info.hashes.sha256)?.isDamaged !== false) throw error;
    }
    if (info.provenance.via === "upload") await verifyEqualBlob(info);
  }

  async function putFile(request: PutRequest, content: WholeBody["content"]): Promise<PutResult> {
    const source = content.kind === "file" ? content.path : newFilePath();
    let result: PutResult | undefined;
    try {
      if (content.kind === "file") await syncFile(source);
      else await writeSyncedFile(source, content.buffer);
      result = await writer.submit("put", { ...request, source });
      return result;
    } catch (error) {
      throw storeFailure(error, `write "${source}" to the disk`);
    } finally {
      if (content.kind === "buffer" && result !== "stored") await removeFile(source);
    }
  }

  return {
    async lookup(key) {
      const known = entryCache.get(bucket, key);
      if (known !== undefined) return known;
      const entry = reads.entry(bucket, key);
      entryCache.set(bucket, key, entry);
      return entry;
    },
    async open(info, options) {
      // The blob of a replaced object stays on the disk for the grace time.
      const isThere =
        isCurrent(info) || (options?.mayBeReplaced === true && reads.sha256Of(bucket, info.key) !== undefined);
      return isThere ? readers.open(info.hashes.sha256, info.size) : undefined;
    },
    recent: {
      entry: (key) => entryCache.get(bucket, key),
      read: ({ hashes, size }, into) => readers.readRecent(hashes.sha256, size, into),
    },
    put,
    copy: (from, to, condition) => writer.submit("copy", { bucket, from, to, condition }),
    delete: (key, { deletedAt, reason, expiresAt }) =>
      writer.submit("delete", { bucket, key, deletedAt, reason, expiresAt }),
    undelete: (key) => writer.submit("undelete", { bucket, key }),
    renew: (key, renewal) => writer.submit("renew", { bucket, key, renewal }),
    purge: (key, { hard, only }) => writer.submit("purge", { bucket, key, hard, only }),
    findBySha1: async (sha1) => reads.findBySha1(bucket, sha1),
    hasTwin: async ({ key, hashes }) => reads.hasTwin(bucket, key, hashes.sha256),
    confirm: (key, sha256) => writer.submit("confirm", { bucket, key, sha256 }),
    forget: (key, sha256, evenPending = false) => writer.submit("forget", { bucket, key, sha256, evenPending }),
    async list({ signal, ...options }, only = "any") {
      const objects: ObjectInfo[] = [];
      for (let { after } = options; ; ) {
        const page = reads.list(bucket, { ...options, after, limit: options.limit - objects.length }, only);
        objects.push(...page.objects);
        after = page.passed;
        if (after === undefined) return { objects, next: page.isCut ? objects.at(-1)?.key : undefined };
        // Other requests come first.
        await immediate();
        if (signal?.aborted) throw new HuiyuanError("client_gone", "Cannot list the bucket: the request was cancelled");
      }
    },
    rows: async (state, after) => reads.rows(bucket, state, after),
    usage: async () => reads.usage(bucket),
    queryKeys: async () => reads.queryKeys(bucket),
  };
}
