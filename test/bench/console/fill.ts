// Fills a data folder through the program's own store, operation log, usage counters and outbox: a bucket of many
// images and tombstones, as after years of use.
import { createHash } from "node:crypto";
import { SILENT_LOG } from "../../../src/core/log.ts";
import { toKey } from "../../../src/core/object.ts";
import { createLedgers, type Ledgers } from "../../../src/ledger/ledger.ts";
import { OPERATION_NAMES } from "../../../src/operate/admin/operation.ts";
import { createOperationLog, OPERATIONS_PLAN } from "../../../src/operate/operations/operation-log.ts";
import { USAGE_PLAN } from "../../../src/operate/usage/usage.ts";
import { describeObject } from "../../../src/serve/bucket/contract/bucket.ts";
import type { BucketDriver } from "../../../src/serve/bucket/contract/driver.ts";
import { createFsStore } from "../../../src/serve/bucket/fs/fs-store.ts";
import { createOutbox, MAX_ENTRIES, OUTBOX_PLAN } from "../../../src/serve/upload/callback/outbox.ts";
import { APPID } from "../../helpers/settings.ts";
import { UPLOADED } from "../../helpers/uploaded.ts";
import { wholeBody } from "../../helpers/whole-body.ts";
import { gifFor } from "../migrate/files.ts";
import { pictureOf } from "../pictures.ts";

export const BUCKET = `${APPID}/photos`;

/** The numbers of all that is filled in. The parts of the bucket have folders of 1,000, except `flat/`. */
export interface Filling {
  readonly objects: number;
  readonly tombstones: number;
  readonly operations: number;
}

export function fillingOf(scale: number): Filling {
  const of = (count: number) => Math.round(count * scale);
  return { objects: of(1_000_000), tombstones: of(600_000), operations: of(1_000_000) };
}

const AT_ONCE = 512;
/** JPEGs of 20 KB, which the pages show. All other images are GIFs of 62 bytes. */
const PICTURES = 2_000;
export const PICTURE_BYTES = 20_000;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 30;
const USED_DAYS = 400;
const LOGGED_AT_ONCE = 5_000;

const numbered = (folder: string, index: number, name: string) =>
  `${folder}/${String(Math.floor(index / 1_000)).padStart(4, "0")}/${name}-${String(index).padStart(7, "0")}`;
/** The name of 40 folders in each other. */
export const DEEP = Array.from({ length: 40 }, (_, level) => `level-${level}-of-many`).join("/");
export const PICTURE = `${numbered("albums", 0, "picture")}.jpg`;
export const DELETED = numbered("deleted", 0, "picture");

export async function fill(data: string, filling: Filling, now = Date.now()): Promise<void> {
  const store = await createFsStore({ dir: data, now: Date.now, log: SILENT_LOG, minFreeBytes: 0, sweepEveryMs: 0 });
  try {
    await fillBucket(store.bucket(BUCKET), filling, now);
    // The store's lock is held for them too.
    const ledgers = createLedgers({ dir: data, log: SILENT_LOG });
    try {
      await fillLedgers(ledgers, filling, now);
    } finally {
      await ledgers.close();
    }
  } finally {
    await store.close();
  }
}

async function fillBucket(bucket: BucketDriver, { objects, tombstones }: Filling, now: number): Promise<void> {
  const picture = await pictureOf(PICTURE_BYTES);
  const put = async (name: string) => {
    const isPicture = name.endsWith(".jpg");
    const body = wholeBody(isPicture ? picture.for(name) : gifFor(name));
    const provenance = { via: "migration" as const, originUrl: `http://old.example/${name}`, fetchedAt: now };
    const info = describeObject({
      ...{ key: toKey(name), body, now },
      image: isPicture ? { format: "jpeg", width: 160, height: 120 } : { format: "gif", width: 1, height: 1 },
      provenance: { ...provenance, originEtag: undefined, originLastModified: undefined, validated: undefined },
    });
    await bucket.put(info, body, { when: "absent" });
  };
  await each(namesOf(objects), put);
  const tombstone = { deletedAt: now, reason: "deleted by an operator" };
  await each(deletedNamesOf(tombstones), (name) => bucket.delete(toKey(name), tombstone));
}

function* namesOf(objects: number): Generator<string, void, undefined> {
  for (let index = 0; index < objects; index += 1) {
    if (index < PICTURES) yield `${numbered("albums", index, "picture")}.jpg`;
    else if (index % 100 === 0) yield `deep/${DEEP}/picture-${index}.gif`;
    else if (index % 2 === 0) yield `${numbered("catalogue", index, "picture")}.gif`;
    else yield `flat/${createHash("md5").update(String(index)).digest("hex")}.gif`;
  }
}

/** Most of them one after the other, as after the deletion of a folder; the others between objects. */
function* deletedNamesOf(tombstones: number): Generator<string, void, undefined> {
  for (let index = 0; index < tombstones; index += 1)
    yield numbered(index % 6 === 5 ? "catalogue" : "deleted", index, "picture");
}

async function each(names: Iterator<string>, work: (name: string) => Promise<unknown>): Promise<void> {
  const worker = async () => {
    for (let next = names.next(); next.done !== true; next = names.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function fillLedgers(ledgers: Ledgers, { operations }: Filling, now: number): Promise<void> {
  const log = createOperationLog({ ledger: ledgers.open(OPERATIONS_PLAN), log: SILENT_LOG, now: () => now });
  const names = OPERATION_NAMES.filter((name) => name !== "login");
  for (let index = 0; index < operations; index += 1) {
    log.record({
      at: now - Math.round((1 - index / operations) * (KEPT_DAYS - 1) * DAY_MS),
      ...{ bucketId: BUCKET, operation: names[index % names.length] ?? "upload", code: index % 50 === 0 ? -46 : 0 },
      fileid: numbered("catalogue", index, "picture"),
      url: `http://photos-${APPID}.example/${numbered("catalogue", index, "picture")}`,
      ...{ client: "192.0.2.1", userAgent: "bench", message: "SUCCESS", bytes: 0, requestId: `request-${index}` },
    });
    if (index % LOGGED_AT_ONCE === LOGGED_AT_ONCE - 1) await log.flush();
  }
  await log.close();
  await fillUsage(ledgers, now);
  const outbox = createOutbox(ledgers.open(OUTBOX_PLAN));
  for (let index = 0; index < Math.min(MAX_ENTRIES, operations / 100); index += 1) {
    const id = await outbox.enqueue({ ...UPLOADED, fileid: `owed-${index}.jpg` }, { since: now, dueAt: now + DAY_MS });
    const failure = { reason: "timeout" as const };
    if (id !== undefined) await outbox.postpone(id, { attempts: 3, dueAt: undefined, isStored: true, failure });
  }
}

/** Every operation on every day that the counters keep. */
async function fillUsage(ledgers: Ledgers, now: number): Promise<void> {
  const usage = ledgers.open(USAGE_PLAN);
  for (let ago = 0; ago < USED_DAYS; ago += 1) {
    const day = new Date(now - ago * DAY_MS).toISOString().slice(0, 10);
    const used = ["download", ...OPERATION_NAMES].map((operation) => ({
      ...{ day, bucket: BUCKET, operation, requests: 100_000 + ago, failures: ago, bytes: 1e9 },
    }));
    await usage.write("count", ...used);
    await usage.write("hold", { day, bucket: BUCKET, objects: 1_000_000 - ago, bytes: 1e9 });
  }
}
