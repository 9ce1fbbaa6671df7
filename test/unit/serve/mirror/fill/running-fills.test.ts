// Fills beyond the plain key: answers that depend on more than the key, fills in the background, refused formats, and
// requests that loop back.
import { beforeAll, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import type { MissRequest } from "../../../../../src/serve/mirror/fill/reader.ts";
import { arriving, fakeOrigin, image } from "../../../../helpers/fake-origins.ts";
import { noisyJpeg, noisyPng } from "../../../../helpers/images.ts";
import { bodyOf, mirrorLab, PLAIN } from "../../../../helpers/mirror-lab.ts";

let jpeg: Buffer;
let png: Buffer;
beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
  png = await noisyPng(8, 8);
});

const request = (changes: Partial<MissRequest> = {}): MissRequest => ({
  ...PLAIN,
  key: toKey("a.jpg"),
  path: toKey("a.jpg"),
  epoch: 0,
  method: "GET",
  signal: new AbortController().signal,
  ...changes,
});

test("fetch() does not store an answer that depends on more than the key, and fetches it again", async () => {
  const origin = fakeOrigin(image(jpeg));
  const lab = mirrorLab({ origins: [origin] });
  const passed = request({ isStored: false, query: "x=1" });
  for (let turn = 0; turn < 2; turn += 1) {
    const answer = await lab.mirror.fetch(passed);
    expect([answer.kind, answer.kind === "finished" && answer.isStored()]).toEqual(["finished", false]);
    expect(await bodyOf(answer)).toEqual(jpeg);
    await lab.settled();
  }
  expect(origin.requests.map(({ query }) => query)).toEqual(["x=1", "x=1"]);
  expect(await lab.object("a.jpg")).toBeUndefined();
});

test("fetch() shares an answer that is not stored among equal requests only", async () => {
  const body = arriving({ size: jpeg.byteLength });
  const origin = fakeOrigin(body.reply, image(png));
  const lab = mirrorLab({ origins: [origin] });
  const same = [1, 2].map(() => lab.mirror.fetch(request({ isStored: false, query: "x=1" })));
  const other = await lab.mirror.fetch(request({ isStored: false, query: "x=2" }));
  expect(await bodyOf(other)).toEqual(png);
  body.send(jpeg);
  body.end();
  for (const each of same) expect(await bodyOf(await each)).toEqual(jpeg);
  expect(origin.requests).toHaveLength(2);
  await lab.settled();
});

test("begin() fetches and stores once in the background", async () => {
  const origin = fakeOrigin(image(jpeg));
  const lab = mirrorLab({ origins: [origin] });
  lab.mirror.begin(request());
  lab.mirror.begin(request());
  await lab.settled();
  expect((await lab.object("a.jpg"))?.size).toBe(jpeg.byteLength);
  expect(origin.requests).toHaveLength(1);
});

test("fetch() serves an image that is pending for another mirror of the bucket, until the key changes", async () => {
  const over = () => ({ put: () => Promise.reject(new HuiyuanError("store_full", "the test says so")) });
  const retryMs = [3_600_000];
  const lab = mirrorLab({ origins: [fakeOrigin(image(jpeg))], retryMs, over });
  await lab.fetch("a.jpg");
  const origin = fakeOrigin(image(png));
  const other = mirrorLab({ origins: [origin], retryMs, beside: lab });
  expect([await other.fetch("a.jpg"), origin.requests.length]).toEqual([jpeg, 0]);
  await lab.stored.purge(toKey("a.jpg"), { hard: true });
  expect([await other.fetch("a.jpg"), origin.requests.length]).toEqual([png, 1]);
  await Promise.all([lab.writeBack.drain(1_000), other.writeBack.drain(1_000)]);
});

test("fetch() refuses a request that loops back before it can join the fill that sent it", async () => {
  const body = arriving({ size: jpeg.byteLength });
  const origin = fakeOrigin(body.reply);
  const lab = mirrorLab({ origins: [origin] });
  const first = lab.mirror.fetch(request());
  const back = request({ via: "1.1 other, 1.1 huiyuan-lab" });
  await expect(lab.mirror.fetch(back)).rejects.toMatchObject({ code: "origin_loop" });
  await expect(lab.mirror.fetch(request({ cdnLoop: "huiyuan-lab" }))).rejects.toMatchObject({ code: "origin_loop" });
  body.send(jpeg);
  body.end();
  expect(await bodyOf(await first)).toEqual(jpeg);
  await lab.settled();
});

test("fetch() refuses a format that is not accepted, before the head", async () => {
  const lab = mirrorLab({ origins: [fakeOrigin(image(png))], mirror: { formats: new Set(["jpeg"]) } });
  await expect(lab.fetch("a.png")).rejects.toMatchObject({ code: "origin_type_refused" });
  await lab.settled();
  expect(await lab.object("a.png")).toBeUndefined();
});
