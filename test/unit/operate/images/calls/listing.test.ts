// A caller of the admin API that disconnects during the listing of a bucket.
import { expect, test } from "vitest";
import { abortable } from "../../../../../src/async/cancellation.ts";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { type ApiOptions, createApi } from "../../../../../src/operate/api.ts";
import type { Bucket } from "../../../../../src/serve/bucket/contract/bucket.ts";
import { NEVER } from "../../../../helpers/spools.ts";

const GONE = new HuiyuanError("client_gone", "Cannot list a bucket: the caller has disconnected");

/** An API whose bucket listing ends only when the caller disconnects. */
function apiOf({ onList, logged = [] }: { readonly onList: () => void; readonly logged?: string[] }) {
  const list: Bucket["list"] = ({ signal = NEVER }) => {
    onList();
    return abortable(new Promise<never>(() => {}), signal).catch(() => Promise.reject(GONE));
  };
  const site = { domain: "*", stored: { bucketId: "10001234/photos", bucket: { list } } };
  const note = (_fields: object, message: string) => void logged.push(message);
  return createApi({
    operated: { service: { registry: { buckets: () => new Map([[site.stored.bucketId, [site]]]) } } },
    nextRequestId: () => "id",
    stopping: NEVER,
    log: { ...SILENT_LOG, error: note, warn: note, info: (fields: object) => void logged.push(JSON.stringify(fields)) },
  } as unknown as ApiOptions);
}

test("GET /objects ends the listing of a disconnected caller with 499, and logs no error", async () => {
  const leaving = new AbortController();
  const logged: string[] = [];
  const api = apiOf({ onList: () => leaving.abort(), logged });
  const answer = await api.request("/api/v1/objects", { signal: leaving.signal });
  expect([answer.status, logged]).toEqual([499, []]);
});

test("a purge of a prefix by a disconnected caller ends, and the audit log has the outcome left", async () => {
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
