// Uploads in slices: restarts in each phase, lifetime and bounds.
import { createHash } from "node:crypto";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { Stored } from "../../../../../src/serve/mirror/stored/stored.ts";
import { takePacket } from "../../../../../src/serve/upload/slices/slice-packet.ts";
import type { Slices } from "../../../../../src/serve/upload/slices/slices.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { BUCKET_ID, storedLab } from "../../../../helpers/mirror-lab.ts";
import { slicesLab, temporaryFolder } from "../../../../helpers/photos-lab.ts";
import { testPool } from "../../../../helpers/spools.ts";

const SLICE = 2_048;
let jpeg: Buffer;

beforeAll(async () => {
  jpeg = await noisyJpeg(80, 60);
});

interface Lab {
  readonly dir: string;
  readonly clock: { now: number };
  readonly place: Stored;
  slices: Slices;
  /** Restarts as after kill -9. */
  restart(): Promise<void>;
}

async function lab(): Promise<Lab> {
  const clock = { now: 1_700_000_000_000 };
  const now = () => clock.now;
  const dir = temporaryFolder();
  const made: Lab = {
    dir,
    clock,
    place: storedLab({ now }).stored,
    slices: await slicesLab(now, dir),
    async restart() {
      made.slices = await slicesLab(now, dir);
    },
  };
  return made;
}

const hex = (bytes: Buffer) => createHash("sha1").update(bytes).digest("hex");

async function packet({ place, slices, clock }: Lab, fields: Record<string, string>, bytes?: Buffer, fileid = "a.jpg") {
  const spool = testPool().open();
  if (bytes !== undefined) {
    spool.write(Buffer.from(bytes));
    await spool.finish();
  }
  try {
    return await takePacket(
      {
        target: place,
        appid: "10001234",
        bucketId: BUCKET_ID,
        requested: toKey(fileid),
        fields: { op: "upload_slice", ...fields },
        slice: bytes === undefined ? undefined : { size: bytes.byteLength, spool },
      },
      {
        slices,
        maxImageBytes: 20_971_520,
        verify: async () => undefined,
        makeOutboxDraft: async () => undefined,
        now: clock.now,
      },
    );
  } finally {
    spool.release();
  }
}

async function begin(at: Lab, fileid?: string, image = jpeg): Promise<string> {
  const fields = { sha: hex(image), filesize: String(image.byteLength), slice_size: String(SLICE) };
  const answer = await packet(at, fields, undefined, fileid);
  return answer.kind === "begun" ? answer.session : "";
}

async function sendFrom(at: Lab, session: string, from = 0) {
  for (let offset = from; ; offset += SLICE) {
    const answer = await packet(at, { session, offset: String(offset) }, jpeg.subarray(offset, offset + SLICE));
    if (answer.kind === "stored") return answer;
  }
}

const fileOf = (at: Lab, session: string, end: ".part" | ".json") => join(at.dir, session + end);

describe("after a restart", () => {
  test("an upload continues behind the last acknowledged slice, and half a slice more is dropped", async () => {
    const at = await lab();
    const session = await begin(at);
    await packet(at, { session, offset: "0" }, jpeg.subarray(0, SLICE));
    writeFileSync(fileOf(at, session, ".part"), "half a slice", { flag: "a" });
    await at.restart();
    expect(await packet(at, { session })).toMatchObject({ kind: "begun", offset: SLICE, sliceSize: SLICE });
    expect(await sendFrom(at, session, SLICE)).toMatchObject({ info: { size: jpeg.byteLength } });
  });

  test("an image is found that was stored before its note was written", async () => {
    const at = await lab();
    const session = await begin(at);
    const last = Math.floor(jpeg.byteLength / SLICE) * SLICE;
    for (let offset = 0; offset < last; offset += SLICE) {
      await packet(at, { session, offset: String(offset) }, jpeg.subarray(offset, offset + SLICE));
    }
    const upload = at.slices.find(session);
    await upload?.append(oneOf(jpeg.subarray(last)), jpeg.byteLength - last);
    await upload?.setPhase("storing");
    // The bucket has taken the file, and then the power failed.
    const form = { sha: hex(jpeg), filesize: String(jpeg.byteLength) };
    const other = await lab();
    const image = { place: at.place, slices: other.slices };
    const second = await begin({ ...at, ...image, dir: other.dir });
    await sendFrom({ ...at, ...image }, second);
    rmSync(fileOf(at, session, ".part"));
    await at.restart();
    expect(await packet(at, { session, ...form })).toMatchObject({ kind: "stored", info: { key: "a.jpg" } });
    expect(at.slices.running).toBe(0);
  });

  test.each(["storing", "stored"] as const)(
    "an upload in the phase %s continues once the store answers again",
    async (phase) => {
      const at = await lab();
      const session = await begin(at);
      await sendFrom(at, session);
      const note = at.slices.find(session);
      await note?.setPhase(phase);
      await at.restart();
      const failure = new HuiyuanError("store_failed", "Cannot ask the store");
      const away = storedLab({ over: () => ({ lookup: async () => ({ state: "absent", epoch: 0, failure }) }) });
      const asked = packet({ ...at, place: away.stored }, { session });
      await expect(asked).rejects.toMatchObject({ code: "store_failed" });
      expect(await packet(at, { session })).toMatchObject({ kind: "stored", info: { key: "a.jpg" } });
    },
  );

  test("an image has to be sent again if its file is gone and the bucket has not stored it", async () => {
    const at = await lab();
    const session = await begin(at);
    await at.slices.find(session)?.setPhase("storing");
    rmSync(fileOf(at, session, ".part"));
    await at.restart();
    await expect(packet(at, { session })).rejects.toMatchObject({ code: "upload_id_unknown" });
  });

  test("files that are no upload are removed: torn notes, bytes without a note, notes without bytes, others", async () => {
    const at = await lab();
    const [kept, torn, lone] = [await begin(at), await begin(at), await begin(at)];
    writeFileSync(fileOf(at, torn, ".json"), '{"order":{"appid"');
    rmSync(fileOf(at, lone, ".part"));
    writeFileSync(join(at.dir, `${"f".repeat(32)}.part`), "bytes");
    writeFileSync(join(at.dir, "something.new"), "{}");
    await at.restart();
    expect(readdirSync(at.dir).sort()).toEqual([`${kept}.json`, `${kept}.part`]);
    expect(at.slices.running).toBe(1);
  });
});

function oneOf(bytes: Buffer): AsyncIterable<Buffer> {
  return (async function* () {
    yield bytes;
  })();
}

describe("an upload in slices", () => {
  test("lives for 24 hours, stored or not", async () => {
    const at = await lab();
    const [session, done] = [await begin(at), await begin(at, "b.jpg")];
    at.clock.now += 86_399_999;
    expect(at.slices.find(session)).toBeDefined();
    at.clock.now += 1;
    expect(at.slices.find(session)).toBeUndefined();
    expect(at.slices.find(done)).toBeUndefined();
    await at.restart();
    expect(readdirSync(at.dir)).toEqual([]);
  });

  test("that was idle for an hour makes room if there are too many, and no other does", async () => {
    const at = await lab();
    const first = await begin(at);
    at.clock.now += 1_000;
    const rest = await Promise.all(Array.from({ length: 255 }, (_, index) => begin(at, `${index}.jpg`)));
    await expect(begin(at, "more.jpg")).rejects.toMatchObject({ code: "overloaded" });
    at.clock.now += 3_599_500;
    expect(await begin(at, "more.jpg")).toMatch(/^[0-9a-f]{32}$/);
    expect(at.slices.find(first)).toBeUndefined();
    expect(at.slices.find(rest[0] ?? "")).toBeDefined();
    expect(at.slices.running).toBe(256);
  });

  test("ends if its image was stored and then deleted", async () => {
    const at = await lab();
    const session = await begin(at);
    await sendFrom(at, session);
    await at.place.delete(toKey("a.jpg"), "test");
    const last = Math.floor(jpeg.byteLength / SLICE) * SLICE;
    const again = packet(at, { session, offset: String(last) }, jpeg.subarray(last));
    await expect(again).rejects.toMatchObject({ code: "upload_id_unknown" });
    expect(readdirSync(at.dir)).toEqual([]);
  });
});
