// Makes the sites of a settings file for commands that only explain how the settings read a request.
// It opens no data folder and no connection, and stores nothing.
import { tmpdir } from "node:os";
import { createSemaphore } from "../async/semaphore.ts";
import { createSpoolPool } from "../body/spool/spool-pool.ts";
import type { BucketDriver } from "../bucket/contract/driver.ts";
import { HuiyuanError } from "../core/errors.ts";
import { SILENT_LOG as log } from "../core/log.ts";
import type { Sites } from "../http/request/site.ts";
import { createRenderer } from "../image/renderer.ts";
import { SILENT_METER as meter } from "../mirror/meter.ts";
import { createMemoryCache } from "../mirror/stored/memory-cache.ts";
import { createWriteBack } from "../mirror/storing/write-back.ts";
import type { Settings } from "../settings/schema/schema.ts";
import { createOnceLedger } from "../sign/once.ts";
import { createSiteRegistry } from "./sites.ts";

/** A bucket without objects. */
const NO_OBJECTS: BucketDriver = {
  lookup: async () => ({ state: "absent", epoch: 0 }),
  open: async () => undefined,
  findBySha1: async () => undefined,
  list: async () => ({ objects: [], next: undefined }),
  usage: async () => ({ objects: 0, bytes: 0 }),
  ...{ put: refuse, copy: refuse, delete: refuse, undelete: refuse, renew: refuse, purge: refuse },
};

/** Throws settings_invalid. The sites need no close() as long as nothing is fetched. */
export function dryRunSites(settings: Settings, now: () => number): Sites {
  const { signal } = new AbortController();
  const spools = createSpoolPool({ dir: tmpdir(), memoryBytes: 0, log });
  const writeBack = createWriteBack({ now, log, meter });
  const fetches = createSemaphore(1);
  const registry = createSiteRegistry(settings, {
    store: { bucket: () => NO_OBJECTS, async probe() {}, async close() {} },
    fetches,
    once: createOnceLedger(
      async () => false,
      () => false,
    ),
    memoryCache: createMemoryCache({ maxBytes: 1, maxObjectBytes: 1 }),
    mirror: { spools, writeBack, meter, log, now, signal, serverId: "000000000000" },
    variants: {
      renderer: createRenderer({ renders: 1, renderMs: 1, pixels: 1, frames: 1 }),
      meter: { ...meter, rendered() {}, failed() {} },
      ...{ writeBack, room: fetches, renders: fetches, log, now, signal },
    },
    variantStore: () => ({ driver: NO_OBJECTS, async *forget() {} }),
  });
  return registry.sites;
}

async function refuse(): Promise<never> {
  throw new HuiyuanError("internal", "Cannot change an object: a dry run stores nothing");
}
