// Runs the contract of bucket drivers. A new driver is one line in the table.

import { SILENT_LOG } from "../../src/core/log.ts";
import { createFsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import { createMemoryStore } from "../helpers/memory-store.ts";
import { bucketDriverContract, type OpenStore } from "./bucket-driver.ts";
import { scriptedS3DriverContract } from "./s3-driver.ts";

const DRIVERS: readonly [name: string, open: OpenStore][] = [
  ["memory", async (_dir, now) => createMemoryStore(now)],
  ["fs", (dir, now) => createFsStore({ dir, now, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 })],
];

for (const [name, open] of DRIVERS) bucketDriverContract(name, open);

scriptedS3DriverContract();
