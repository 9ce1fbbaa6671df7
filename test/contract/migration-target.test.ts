// Every target of a migration keeps the contract: a store of this process, a running server's admin API and its REST
// API. The last two are a real server on loopback ports.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startApp } from "../../src/app.ts";
import { createClient } from "../../src/client/client.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import { toKey } from "../../src/core/object.ts";
import type { Target } from "../../src/operate/migrations/target.ts";
import { createAdminTarget } from "../../src/operate/migrations/targets/admin.ts";
import { createRestTarget } from "../../src/operate/migrations/targets/rest.ts";
import { createStoreTarget } from "../../src/operate/migrations/targets/store.ts";
import { createBucket } from "../../src/serve/bucket/contract/bucket.ts";
import { createFsStore } from "../../src/serve/bucket/fs/fs-store.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { APPID, KEYS, oneBucket } from "../helpers/settings.ts";
import { infoOf, readAll, wholeBody } from "../helpers/whole-body.ts";
import { type TargetLab, targetContract } from "./migration-target.ts";

/** On a busy machine the first decoding process takes seconds. */
const TIMEOUT_MS = 60_000;

targetContract({ name: "store", open: openStoreLab });
targetContract({
  name: "admin API",
  open: () =>
    openServerLab(({ admin }) => createAdminTarget((path, init) => fetch(admin + path, init), `${APPID}/photos`)),
});
targetContract({
  name: "REST API",
  maxName: 128,
  canReplace: false,
  open: () => openServerLab(({ place }) => createRestTarget({ ...place, timeoutMs: TIMEOUT_MS })),
});

async function openStoreLab(): Promise<TargetLab> {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-target-"));
  const store = await createFsStore({ dir, now: Date.now, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  const bucket = createBucket({ driver: store.bucket("1/b"), now: Date.now, maxObjectBytes: 1e8 });
  return {
    target: createStoreTarget({ bucket, put: bucket.put }),
    dir: store.spoolDir,
    async bytesOf(fileid) {
      const entry = await bucket.lookup(toKey(fileid));
      return entry.state === "object" ? readAll(await bucket.open(entry.info), entry.info.size) : undefined;
    },
    delete: async (fileid) => void (await bucket.delete(toKey(fileid), "a test")),
    async upload(fileid, bytes) {
      const body = wholeBody(bytes);
      await bucket.put(infoOf(fileid, body, "upload"), body, { when: "vacant" });
    },
    async close() {
      await store.close();
      await rm(dir, { recursive: true });
    },
  };
}

async function openServerLab(
  open: (at: { admin: string; place: Parameters<typeof createClient>[0] }) => Target,
): Promise<TargetLab> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-target-"));
  const dir = join(folder, "bodies");
  await mkdir(dir);
  const file = join(folder, "huiyuan.yaml");
  const server = { host: "127.0.0.1", port: 0, adminPort: 0, accessLog: "off" };
  const more = { server, data: join(folder, "data"), limits: { freeDisk: "1MB", renderTime: "25s" } };
  await writeFile(file, JSON.stringify(oneBucket(undefined, {}, more)));
  const app = await startApp({ settings: await loadSettings(file, { env: {} }), log: SILENT_LOG });
  const admin = `http://127.0.0.1:${app.adminPort}`;
  const endpoint = `http://127.0.0.1:${app.downloadPort}`;
  const place = { endpoint, appid: APPID, bucket: "photos", ...KEYS[0] };
  const client = createClient(place);
  return {
    target: open({ admin, place: { ...place, retries: 0 } }),
    dir,
    async bytesOf(fileid) {
      const answer = await fetch(`${endpoint}/${encodeURIComponent(fileid)}`);
      return answer.ok ? Buffer.from(await answer.arrayBuffer()) : undefined;
    },
    async delete(fileid) {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ names: [fileid] });
      await (await fetch(`${admin}/api/v1/objects/delete`, { method: "POST", headers, body })).text();
    },
    upload: async (fileid, bytes) => void (await client.upload(bytes, { fileid })),
    async close() {
      await app.stop();
      await rm(folder, { recursive: true });
    },
  };
}
