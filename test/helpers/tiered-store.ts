// Opens a tiered store as the program wires it: a data folder with spools, and an S3 behind it.

import { SILENT_LOG } from "../../src/core/log.ts";
import { createSpoolPool } from "../../src/serve/body/spool/spool-pool.ts";
import { createFsStore, type FsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import type { RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import { createDiskCache, type DiskCache } from "../../src/serve/bucket/tier/disk/disk-cache.ts";
import {
  createTieredStore,
  type TieredStore,
  type TieredStoreOptions,
} from "../../src/serve/bucket/tier/tiered-store.ts";

export interface TieredLab {
  readonly store: TieredStore;
  readonly near: FsStore;
  readonly disk: DiskCache;
  /** `bucketId key` of each object that memory had to drop. */
  readonly changed: string[];
}

/** The store's `close` closes everything. */
export async function openTiered(
  dir: string,
  remote: RemoteStore,
  {
    maxBytes = 1_000_000_000,
    ...options
  }: Partial<Pick<TieredStoreOptions, "now" | "ticks" | "log"> & { readonly maxBytes: number }> = {},
): Promise<TieredLab> {
  const { now = () => 1_000, log = SILENT_LOG } = options;
  const near = await createFsStore({ dir, now, log, minFreeBytes: 0, sweepEveryMs: 0 });
  const spools = createSpoolPool({ dir: near.spoolDir, memoryBytes: 10_000_000, log });
  const changed: string[] = [];
  const disk = createDiskCache({ embedded: near, maxBytes, wasUsed: () => false, log });
  const store = createTieredStore({
    embedded: near,
    remote,
    connections: 64,
    disk,
    spools,
    changed: (bucketId, key) => void changed.push(`${bucketId} ${key}`),
    log,
    now,
    ...options,
  });
  const { close } = store;
  Object.assign(store, {
    async close() {
      await close();
      await spools.close();
      await disk.close();
      await near.close();
    },
  });
  return { store, near, disk, changed };
}
