import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toKey } from "../../../../../../src/core/object.ts";
import { startWriter } from "../../../../../../src/serve/bucket/fs/writer/writer.ts";
import { infoOf, wholeBody } from "../../../../../helpers/whole-body.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "huiyuan-writer-"));
  for (const name of ["blobs", "packs"]) mkdirSync(join(dir, name));
});

afterEach(() => rm(dir, { recursive: true }));

const request = { bucket: "1/b", key: toKey("a"), hard: false };

test("submit() throws overloaded for operations above the capacity, and runs the others", async () => {
  const writer = await startWriter({ dataDir: dir, now: Date.now, capacity: 3 });
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => writer.submit("purge", request)));
  expect(results.map((result) => (result.status === "rejected" ? result.reason.code : "done"))).toEqual([
    "done",
    "done",
    "done",
    "overloaded",
    "overloaded",
  ]);
  await expect(writer.submit("purge", request)).resolves.toBe(false);
  await writer.close();
});

test("submit() runs thousands of operations in order", async () => {
  const writer = await startWriter({ dataDir: dir, now: Date.now });
  const deletes = Array.from({ length: 2_000 }, (_, index) =>
    writer.submit("delete", { bucket: "1/b", key: toKey(`${index % 1_000}`), deletedAt: index, reason: "" }),
  );
  const undeleted = writer.submit("undelete", { bucket: "1/b", key: toKey("999") });
  expect((await Promise.all(deletes)).every((wasThere) => !wasThere)).toBe(true);
  expect(await undeleted).toBe(true);
  await writer.close();
});

test("submit() sends the operations of one turn in one batch, with and without bodies", async () => {
  const batches: number[] = [];
  const writer = await startWriter({ dataDir: dir, now: Date.now, onEnded: ({ length }) => void batches.push(length) });
  const body = wholeBody(Buffer.from("a body"));
  const put = (key: string) =>
    writer.submit(
      "put",
      {
        bucket: "1/b",
        info: infoOf(key, body),
        blockSums: body.blockSums.toString("latin1"),
        condition: { when: "absent" },
        source: undefined,
      },
      Buffer.from("a body"),
    );
  await Promise.all([put("one"), put("beside"), writer.submit("purge", request)]);
  await Promise.all([put("late"), put("later")]);
  expect(batches).toEqual([3, 2]);
  await writer.close();
});

test("close() finishes accepted operations and refuses later ones", async () => {
  const writer = await startWriter({ dataDir: dir, now: Date.now });
  const accepted = Array.from({ length: 1_500 }, () => writer.submit("purge", request));
  const closed = writer.close();
  await expect(writer.submit("purge", request)).rejects.toMatchObject({ code: "store_failed" });
  expect(await Promise.all(accepted)).toHaveLength(1_500);
  await closed;
});

test("startWriter() throws store_failed if the catalogue cannot be opened", async () => {
  await expect(startWriter({ dataDir: join(dir, "nowhere"), now: Date.now })).rejects.toMatchObject({
    code: "store_failed",
  });
});
