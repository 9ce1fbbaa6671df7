// A remote store whose requests fail before or after they take effect. The reported result of each change holds in the
// end, also after a restart. A change that failed may have been carried out.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../src/core/errors.ts";
import { type Key, toKey } from "../../src/core/object.ts";
import type { BucketDriver } from "../../src/serve/bucket/contract/driver.ts";
import { createMemoryRemote } from "../helpers/memory-remote.ts";
import { openTiered } from "../helpers/tiered-store.ts";
import { infoOf, readAll, wholeBody } from "../helpers/whole-body.ts";

const ID = "10001234/photos";
const KEYS = ["a.jpg", "b.jpg", "c.jpg"].map(toKey);
const STEPS = 120;

/** A key's object as text, `deleted`, or undefined. */
type State = string | undefined;

/** Numbers from 0 to 1, the same for each seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

async function stateOf(bucket: BucketDriver, key: Key): Promise<State> {
  const entry = await bucket.lookup(key);
  if (entry.state === "tombstone") return "deleted";
  if (entry.state === "absent") return entry.failure === undefined ? undefined : `failed: ${entry.failure.message}`;
  const reader = await bucket.open(entry.info);
  try {
    return (await readAll(reader, entry.info.size)).toString();
  } finally {
    reader?.close();
  }
}

/** A fetched image fills a vacant key. An object or a tombstone of an earlier change wins over it. */
function afterMirror(may: ReadonlySet<State>, text: string): ReadonlySet<State> {
  return new Set([...may].map((state) => state ?? text));
}

/** Makes one change and returns the states that the key may have afterwards. */
async function change(
  bucket: BucketDriver,
  key: Key,
  may: ReadonlySet<State>,
  { kind, text }: { kind: string; text: string },
) {
  const body = wholeBody(Buffer.from(text));
  const put = (via: "upload" | "mirror") =>
    bucket.put(infoOf(key, body, via), body, via === "upload" ? { when: "always" } : { when: "absent" });
  try {
    if (kind === "upload") {
      await put("upload");
      return new Set([text]);
    }
    if (kind === "delete") {
      await bucket.delete(key, { deletedAt: 1, reason: "" });
      return new Set(["deleted"]);
    }
    if (kind === "undelete") return (await bucket.undelete(key)) ? new Set([undefined]) : may;
    const result = await put("mirror");
    return result === "stored" ? afterMirror(may, text) : may;
  } catch (error) {
    expect(error).toBeInstanceOf(HuiyuanError);
    if (kind === "mirror") return new Set([...may, ...afterMirror(may, text)]);
    if (kind === "undelete") return may.has("deleted") ? new Set([...may, undefined]) : may;
    return new Set([...may, kind === "upload" ? text : "deleted"]);
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])("no acknowledged change is lost before a failing store (seed %i)", async (seed) => {
  const random = randomOf(seed);
  let failures = 0.25;
  const remote = createMemoryRemote({
    failure: () => (random() >= failures ? undefined : random() < 0.5 ? "before" : "after"),
  });
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-failing-"));
  let lab = await openTiered(dir, remote.store());
  const may = new Map<Key, ReadonlySet<State>>(KEYS.map((key) => [key, new Set([undefined])]));
  for (let step = 0; step < STEPS; step += 1) {
    const key = KEYS[Math.floor(random() * KEYS.length)] as Key;
    const kind = ["upload", "delete", "undelete", "mirror", "mirror"][Math.floor(random() * 5)] as string;
    may.set(
      key,
      await change(lab.store.bucket(ID), key, may.get(key) as ReadonlySet<State>, {
        kind,
        text: `${kind} ${step}, long enough`,
      }),
    );
    if (step % 40 !== 39) continue;
    await lab.store.close();
    lab = await openTiered(dir, remote.store());
  }
  failures = 0;
  await lab.store.uploads.idle();
  // Another server, with an empty disk, finds the same, soon after the last change.
  const other = await openTiered(join(dir, "other"), remote.store());
  for (const key of KEYS) {
    const state = await stateOf(other.store.bucket(ID), key);
    expect([...(may.get(key) ?? [])], key).toContain(state);
    await expect.poll(() => stateOf(lab.store.bucket(ID), key), { timeout: 10_000 }).toBe(state);
  }
  await lab.store.close();
  await other.store.close();
  await rm(dir, { recursive: true });
});

test("a change that took effect though the store answered with an error is seen soon, over a copy on this disk", async () => {
  const answers: ("before" | "after" | undefined)[] = [];
  const remote = createMemoryRemote({ failure: () => answers.shift() });
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-failing-"));
  const { store, changed } = await openTiered(dir, remote.store());
  const bucket = store.bucket(ID);
  const key = toKey("a.jpg");
  const upload = (text: string) => change(bucket, key, new Set(), { kind: "upload", text });
  await upload("the first image");
  expect(await stateOf(bucket, key)).toBe("the first image");
  changed.length = 0;
  answers.push("after");
  expect([...(await upload("the second image"))]).toEqual(["the second image"]);
  expect(answers).toEqual([]);
  expect(changed).toEqual([`${ID} a.jpg`]);
  await expect.poll(() => stateOf(bucket, key), { timeout: 10_000 }).toBe("the second image");
  await store.close();
  await rm(dir, { recursive: true });
});
