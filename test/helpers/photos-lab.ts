// The REST API in this process, over a memory store, with real sockets, and spools and slices on disk. For tests that
// would take too long with the whole program: clocks, thousands of requests, internal state.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createSemaphore } from "../../src/async/semaphore.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import { createFreeSpace } from "../../src/serve/bucket/fs/free-space.ts";
import { createDownloadApp } from "../../src/serve/http/app.ts";
import { createRequestIds } from "../../src/serve/http/request/exchange.ts";
import type { RestApiParts } from "../../src/serve/http/rest/call.ts";
import type { ManagedBucket } from "../../src/serve/http/rest/project.ts";
import type { AnsweredCall } from "../../src/serve/http/rest/rest.ts";
import { startServer } from "../../src/serve/http/wire/server.ts";
import { createOnceLedger, type OnceLedger } from "../../src/serve/sign/once.ts";
import { createVerifiedTokens } from "../../src/serve/sign/verified.ts";
import { createKnownMd5 } from "../../src/serve/upload/known-md5.ts";
import { createSliceFolder } from "../../src/serve/upload/slices/slice-folder.ts";
import { openSlices, type Slices } from "../../src/serve/upload/slices/slices.ts";
import { downloadAppOptions } from "./download-app.ts";
import { storedLab } from "./mirror-lab.ts";
import { APPID, KEYS } from "./settings.ts";
import { type TestPool, testPool } from "./spools.ts";

export interface PhotosLab {
  readonly port: number;
  readonly bucket: ManagedBucket;
  readonly pool: TestPool;
  readonly slices: Slices;
  readonly uploads: RestApiParts["uploads"];
  readonly calls: readonly AnsweredCall[];
  /** Error log lines. */
  readonly faults: readonly object[];
}

/** Open slices over a folder that is removed after the test. */
export async function slicesLab(now: () => number = Date.now, dir = temporaryFolder()): Promise<Slices> {
  const freeSpace = createFreeSpace(dir, 0);
  const slices = await openSlices({ folder: createSliceFolder(dir), freeSpace, log: SILENT_LOG, now, ticks: now });
  onTestFinished(() => slices.close());
  return slices;
}

export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "huiyuan-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** One project with the bucket `photos`. Closed after the test. */
export async function photosLab(options: Partial<RestApiParts> = {}): Promise<PhotosLab> {
  const { stored } = storedLab({ now: Date.now });
  const bucket: ManagedBucket = {
    name: "photos",
    stored,
    takesUploads: true,
    cors: ["*"],
    publicDomain: `photos-${APPID}.localhost`,
    mirrored: undefined,
  };
  const buckets = new Map([[bucket.name, bucket]]);
  const project = { appid: APPID, isEnabled: true, acceptV1: true, buckets, firstBucket: bucket };
  const pool = testPool();
  const slices = await slicesLab();
  const uploads = createSemaphore(64);
  const calls: AnsweredCall[] = [];
  const faults: object[] = [];
  const nextRequestId = createRequestIds();
  const [key] = KEYS;
  const restApi: RestApiParts = {
    clients: () => undefined,
    projects: () => ({ find: (appid) => (appid === APPID ? project : undefined), isDomain: () => false }),
    tokens: createVerifiedTokens({
      keys: (secretId, appid) =>
        secretId === key.secretId && appid === APPID ? { secretKey: key.secretKey, enabled: true } : undefined,
    }),
    once: memoryLedger(),
    spools: pool,
    md5: createKnownMd5(),
    slices,
    uploads,
    maxImageBytes: () => 20_971_520,
    place: () => ({ publicPort: "auto", port: 80, trustedProxies: [] }),
    patience: { idleMs: 30_000, totalMs: 60_000 },
    // Tests of the renderer cover image verification; this lab tests the API.
    verify: () => Promise.resolve(),
    makeOutboxDraft: async () => undefined,
    now: Date.now,
    ...options,
  };
  const { listener } = createDownloadApp(
    downloadAppOptions({
      restApi,
      nextRequestId,
      log: { ...SILENT_LOG, error: (fields) => void faults.push(fields) },
      called: (call) => void calls.push(call),
    }),
  );
  const server = await startServer({
    host: "127.0.0.1",
    port: 0,
    nextRequestId,
    continues: true,
    requestMs: 60_000,
    listener,
  });
  onTestFinished(() => server.stop(0));
  return { port: server.port, bucket, pool, slices, uploads, calls, faults };
}

/** A ledger of spent tokens that is lost with the test. */
function memoryLedger(): OnceLedger {
  const spent = new Set<string>();
  const idOf = ({ secretId, mac }: { readonly secretId: string; readonly mac: Uint8Array }) =>
    `${secretId}\0${Buffer.from(mac).toString("hex")}`;
  return createOnceLedger(
    async (token) => !spent.has(idOf(token)) && Boolean(spent.add(idOf(token))),
    (token) => spent.has(idOf(token)),
  );
}
