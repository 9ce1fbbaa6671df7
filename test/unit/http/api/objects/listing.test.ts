// A caller of the admin API who leaves while a bucket is listed.
import { expect, test } from "vitest";
import { abortable } from "../../../../../src/async/cancellation.ts";
import type { Bucket } from "../../../../../src/bucket/contract/bucket.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { type ApiOptions, createApi } from "../../../../../src/http/api/api.ts";
import { NEVER } from "../../../../helpers/spools.ts";

const GONE = new HuiyuanError("client_gone", "Cannot list a bucket: nobody waits for it any more");

/** Its listing ends only when the one who waits has left. */
function apiOf({ onList, logged = [] }: { readonly onList: () => void; readonly logged?: string[] }) {
  const list: Bucket["list"] = ({ signal = NEVER }) => {
    onList();
    return abortable(new Promise<never>(() => {}), signal).catch(() => Promise.reject(GONE));
  };
  const site = { domain: "*", stored: { bucketId: "10001234/photos", bucket: { list } } };
  const note = (_fields: object, message: string) => void logged.push(message);
  return createApi({
    registry: { domains: () => [site] },
    accounts: { outbox: {} },
    now: Date.now,
    nextRequestId: () => "id",
    stopping: NEVER,
    log: { ...SILENT_LOG, error: note, warn: note, info: (fields: object) => void logged.push(JSON.stringify(fields)) },
  } as unknown as ApiOptions);
}

test("the listing for GET /objects ends, and is no fault in here", async () => {
  const leaving = new AbortController();
  const logged: string[] = [];
  const api = apiOf({ onList: () => leaving.abort(), logged });
  const answer = await api.request("/api/v1/objects", { signal: leaving.signal });
  expect([answer.status, logged]).toEqual([499, []]);
});

test("an order about all of a prefix ends, and is noted as left", async () => {
  const logged: string[] = [];
  let begun!: () => void;
  const listing = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const api = apiOf({ onList: () => begun(), logged });
  const order = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prefix: "" }),
  };
  const answer = await api.request("/api/v1/objects/purge", order, {});
  const reader = answer.body?.getReader();
  const read = reader?.read();
  await listing;
  await reader?.cancel();
  await read;
  expect(logged).toHaveLength(1);
  expect(JSON.parse(logged[0] ?? "{}")).toMatchObject({ outcome: "left" });
});
