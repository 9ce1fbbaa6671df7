// Processed images over HTTP, through the whole program: the origin requests that they cause, their validators and
// ranges, and that they change and vanish with their originals.
import { hash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import { noisyIco, noisyJpeg } from "../helpers/images.ts";
import { changeObjects, metric, sizeOf, storedObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const BUCKET = `${APPID}/photos`;
const ALIASES = {
  small: "imageView2/2/w/200/h/200",
  web: "imageMogr2/thumbnail/200x/format/auto",
  checked: "imageInfo",
};

let jpeg: Buffer;
let other: Buffer;
let png: Buffer;
/** The origin's images by path; every other path is `jpeg`. */
const pictures = new Map<string, Buffer | "broken" | "none">();
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const requestsFor = (target: string) => origin.requests.filter((request) => request.target === target).length;
const ask = (path: string, more: Partial<GetOptions> = {}) => get({ port: program.downloadPort, path, ...more });
const statusOf = ({ status, headers }: GetResult) => [status, headers["x-errno"]];
const change = (what: "delete" | "undelete" | "purge", key: string, hard?: boolean) =>
  changeObjects(program.adminPort, what, { bucket: BUCKET, names: [key], ...(hard === undefined ? {} : { hard }) });
/** True if a variant on the disk has the bytes of this response. */
const isVariantStored = ({ body }: GetResult) =>
  storedObjects(installation.data, `variants/${BUCKET}`).some(({ sha256 }) => sha256 === hash("sha256", body));
const renders = () => metric(program.adminPort, "huiyuan_render_seconds_count");

/** Retries until memory or bucket serve the response. */
async function settled(path: string, more: Partial<GetOptions> = {}): Promise<GetResult> {
  let answer = await ask(path, more);
  await eventually(async () => {
    answer = await ask(path, more);
    return /hit; detail=(memory|bucket)/.test(String(answer.headers["cache-status"]));
  }, `${path} is stored`);
  return answer;
}

beforeAll(async () => {
  [jpeg, other] = await Promise.all([noisyJpeg(1200, 900), noisyJpeg(900, 1200)]);
  png = await sharp({ create: { width: 60, height: 40, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0.5 } } })
    .png()
    .toBuffer();
  origin = await startScriptedOrigin(async (request, connection) => {
    const picture = pictures.get(request.target) ?? jpeg;
    if (picture === "none") return connection.send(response("", { status: "404 Not Found" }));
    await connection.pause(50);
    if (picture !== "broken") return connection.send(response(picture));
    await connection.send(response(jpeg).subarray(0, 20_000));
    connection.end();
  });
  const freshness = { mode: "ttl", ttl: "1h", staleIfError: "1h" };
  const rules = [{ match: { prefix: "aging/" }, freshness }];
  installation = await install(
    oneBucket(mirrorOf(origin.url, { rules }), { aliases: ALIASES, cors: ["https://a.example"] }),
  );
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

describe("a cold processed URL", () => {
  test("causes one origin request, and the original and the variant are stored", async () => {
    const first = await ask("/cold.jpg?imageView2/2/w/300");
    expect([first.status, await sizeOf(first.body)]).toEqual([200, ["jpeg", 300, 225]]);
    expect(first.headers).toMatchObject({
      "content-type": "image/jpeg",
      "content-length": String(first.body.length),
      "x-content-type-options": "nosniff",
      "cache-control": "public, max-age=86400",
      "cache-status": "huiyuan; fwd=uri-miss; stored",
    });
    const again = await settled("/cold.jpg?imageView2/2/w/300");
    expect(again.body.equals(first.body)).toBe(true);
    expect(again.headers.etag).toBe(first.headers.etag);
    expect((await settled("/cold.jpg")).body.equals(jpeg)).toBe(true);
    expect(requestsFor("/cold.jpg")).toBe(1);
  });

  test("requested by 100 clients causes 1 origin request and 1 render", async () => {
    const before = await renders();
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask("/hundred.jpg!small")));
    expect(await sizeOf(answers[0]?.body ?? jpeg)).toEqual(["jpeg", 200, 150]);
    for (const { status, body, headers } of answers) {
      expect([status, body.equals(answers[0]?.body ?? jpeg), headers.etag]).toEqual([
        200,
        true,
        answers[0]?.headers.etag,
      ]);
    }
    expect(requestsFor("/hundred.jpg")).toBe(1);
    expect(origin.requests.filter(({ target }) => target.includes("small"))).toEqual([]);
    expect((await renders()) - before).toBe(1);
  });

  test("requested by HEAD gets the head of a GET", async () => {
    const head = await ask("/head.jpg?imageView2/2/w/120", { method: "HEAD" });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    const whole = await settled("/head.jpg?imageView2/2/w/120");
    for (const name of ["content-type", "content-length", "etag", "last-modified"]) {
      expect([name, head.headers[name]]).toEqual([name, whole.headers[name]]);
    }
    expect(requestsFor("/head.jpg")).toBe(1);
  });

  test("requested in ranges returns exactly its bytes", async () => {
    const [first, last] = await Promise.all([
      ask("/ranges.jpg?imageView2/2/w/200", { headers: { Range: "bytes=0-99" } }),
      ask("/ranges.jpg?imageView2/2/w/200", { headers: { Range: "bytes=-50" } }),
    ]);
    const { body } = await settled("/ranges.jpg?imageView2/2/w/200");
    expect([first.status, first.body.equals(body.subarray(0, 100))]).toEqual([206, true]);
    expect([last.status, last.body.equals(body.subarray(-50))]).toEqual([206, true]);
    expect(first.headers["content-range"]).toBe(`bytes 0-99/${body.length}`);
    expect(requestsFor("/ranges.jpg")).toBe(1);
  });

  test("gets 404 if the origin lacks the original, and 424 if its body is cut; no variant is rendered", async () => {
    pictures.set("/none.jpg", "none");
    pictures.set("/broken.jpg", "broken");
    expect(statusOf(await ask("/none.jpg?imageView2/2/w/20"))).toEqual([404, "-6101"]);
    expect(statusOf(await ask("/none.jpg!small"))).toEqual([404, "-6101"]);
    expect(statusOf(await ask("/broken.jpg?imageView2/2/w/20"))).toEqual([424, "-120"]);
    expect(keysIn(installation.data, BUCKET)).not.toContain("broken.jpg");
  });
});

describe("a variant", () => {
  test("has an ETag and a Last-Modified of its own, and conditions and ranges hold", async () => {
    const path = "/whole.jpg?imageView2/2/w/200";
    const whole = await settled(path);
    const original = await settled("/whole.jpg");
    const etag = String(whole.headers.etag);
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(etag).not.toBe(original.headers.etag);
    const unchanged = await ask(path, { headers: { "If-None-Match": etag } });
    expect([unchanged.status, unchanged.headers.etag, unchanged.body.length]).toEqual([304, etag, 0]);
    const since = String(whole.headers["last-modified"]);
    expect((await ask(path, { headers: { "If-Modified-Since": since } })).status).toBe(304);
    // The client's date may belong to an earlier response of this URL, and the current variant may be older.
    const later = new Date(Date.parse(since) + 60_000).toUTCString();
    expect((await ask(path, { headers: { "If-Modified-Since": later } })).status).toBe(200);
    expect(statusOf(await ask(path, { headers: { "If-Unmodified-Since": later } }))).toEqual([412, "-103"]);
    expect((await ask(path, { headers: { "If-None-Match": String(original.headers.etag) } })).status).toBe(200);
    expect(statusOf(await ask(path, { headers: { "If-Match": '"other"' } }))).toEqual([412, "-103"]);
    const part = await ask(path, { headers: { Range: "bytes=10-19", "If-Range": etag } });
    expect([part.status, part.body.equals(whole.body.subarray(10, 20))]).toEqual([206, true]);
    const beyond = await ask(path, { headers: { Range: `bytes=${whole.body.length}-` } });
    expect([...statusOf(beyond), beyond.headers["content-range"]]).toEqual([
      416,
      "-124",
      `bytes */${whole.body.length}`,
    ]);
    const many = await ask(path, { headers: { Range: "bytes=0-1,5-9" } });
    expect([many.status, many.body.equals(whole.body)]).toEqual([200, true]);
    const cors = await ask(path, { headers: { Origin: "https://a.example" } });
    expect([cors.headers["access-control-allow-origin"], cors.headers.vary]).toEqual(["https://a.example", "Origin"]);
  });

  test("is shared by all spellings of its instruction", async () => {
    const first = await settled("/spelled.jpg?imageView2/2/w/90/h/80");
    const before = await renders();
    for (const query of [
      "imageView2/2/h/80/w/90",
      "imageView2%2F2/w/90/h/80",
      "a=1&imageView2/2/w/90/h/80",
      "imageView2/2/w/90/h/80&v=2",
      "imageView2/2/w/90/h/80/ignore-error/1",
    ]) {
      const answer = await ask(`/spelled.jpg?${query}`);
      expect([query, answer.headers.etag, answer.headers["cache-status"]]).toEqual([
        query,
        first.headers.etag,
        "huiyuan; hit; detail=memory",
      ]);
    }
    expect(await renders()).toBe(before);
  });

  test("survives a restart, and is neither listed nor reachable as an original", async () => {
    const path = "/restart.jpg?imageView2/2/w/201";
    const before = await settled(path);
    await program.stop();
    program = await installation.start();
    const after = await ask(path);
    expect([after.headers["cache-status"], after.headers.etag]).toEqual([
      "huiyuan; hit; detail=bucket",
      before.headers.etag,
    ]);
    expect(after.body.equals(before.body)).toBe(true);
    expect(await renders()).toBe(0);
    const keys = keysIn(installation.data, BUCKET);
    expect(keys).toContain("restart.jpg");
    expect(keys.filter((key) => /[0-9a-f]{64}/.test(key))).toEqual([]);
    const variants = keysIn(installation.data, `variants/${BUCKET}`);
    expect(variants.length).toBeGreaterThan(0);
    pictures.set(`/${variants[0]}`, "none");
    expect(statusOf(await ask(`/${variants[0]}`))).toEqual([404, "-6101"]);
    const listed = await get({ port: program.adminPort, host: "127.0.0.1", path: `/api/v1/objects?bucket=${BUCKET}` });
    expect(listed.body.toString()).not.toMatch(/variants|"json"/);
  });
});

test("whose stored original is found damaged is rendered after a new fetch", async () => {
  await settled("/damaged.jpg");
  expect(requestsFor("/damaged.jpg")).toBe(1);
  await program.stop();
  const sha256 = hash("sha256", jpeg);
  const file = join(installation.data, "blobs", sha256.slice(0, 2), sha256.slice(2, 4), sha256);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await writeFile(file, bytes);
  program = await installation.start();
  expect(await sizeOf((await ask("/damaged.jpg?imageView2/2/w/77")).body)).toEqual(["jpeg", 77, 58]);
  expect(requestsFor("/damaged.jpg")).toBe(2);
  expect((await settled("/damaged.jpg")).body.equals(jpeg)).toBe(true);
});

describe("an alias", () => {
  test("means its instruction, but an object of that name takes precedence", async () => {
    const [byAlias, byQuery] = [await settled("/alias.jpg!small"), await settled(`/alias.jpg?${ALIASES.small}`)];
    expect(byAlias.headers.etag).toBe(byQuery.headers.etag);
    pictures.set("/named.jpg!smaller", other);
    // Stored under its whole name, which no alias has.
    expect((await ask("/named.jpg!smaller")).body.equals(other)).toBe(true);
    expect(await sizeOf((await ask("/named.jpg!small")).body)).toEqual(["jpeg", 200, 150]);
  });

  test("ignores an unknown query", async () => {
    expect(await sizeOf((await ask("/alias.jpg!small?v=3")).body)).toEqual(["jpeg", 200, 150]);
  });

  test("together with an instruction is refused", async () => {
    const answer = await ask("/alias.jpg!small?imageView2/2/w/10");
    expect(statusOf(answer)).toEqual([400, "-106"]);
    expect(answer.body.toString()).toContain("together");
  });

  test("unknown to the bucket is part of the name", async () => {
    pictures.set("/alias.jpg!none", "none");
    expect(statusOf(await ask("/alias.jpg!none"))).toEqual([404, "-6101"]);
    expect(requestsFor("/alias.jpg!none")).toBe(1);
  });
});

describe("an instruction", () => {
  test.each([
    ["imageView2/7/w/1", "imageView2"],
    ["imageView2/2/w/0", "imageView2/w"],
    ["imageView2/2/w/1/w/2", "imageView2/w"],
    ["imageView2/2/x/2", "imageView2"],
    ["imageMogr2/thumbnail/1y", "imageMogr2/thumbnail"],
    ["imageMogr2/rotate/361", "imageMogr2/rotate"],
    ["watermark/2/text/!!", "watermark/text"],
    ["watermark/1", "watermark/image"],
    ["imageInfo/1", "imageInfo"],
    ["imageInfo%7CimageView2/2/w/1", "imageInfo"],
    ["imageView2/2/w/1|nothing", "nothing"],
    [Array(11).fill("imageView2/2/w/9").join("|"), "pipeline"],
  ])("%s is refused with the parameter's name, before any fetch", async (query, parameter) => {
    const answer = await ask(`/never.jpg?${query}`);
    expect(statusOf(answer)).toEqual([400, "-106"]);
    const { code, message, requestId } = JSON.parse(answer.body.toString());
    expect([code, message, requestId]).toEqual([
      -106,
      expect.stringContaining(parameter),
      answer.headers["x-request-id"],
    ]);
    expect(requestsFor("/never.jpg")).toBe(0);
  });

  test("that does not fit the image is refused with the parameter's name or the limit", async () => {
    const answer = await ask("/fit.jpg?imageMogr2/iradius/5000");
    expect(statusOf(answer)).toEqual([400, "-106"]);
    expect(answer.body.toString()).toContain("imageMogr2/iradius");
    const large = await ask("/fit.jpg?imageMogr2/thumbnail/10000x");
    expect(statusOf(large)).toEqual([400, "-442"]);
    expect(large.body.toString()).toContain("too large, wanted sides of at most 9999 pixels");
  });

  test("of an unknown operation is no instruction, so the original is served", async () => {
    for (const query of ["image/2/w/10", "x-oss-process=image/resize,w_100", "imageViewer=1", "w=100"]) {
      expect([query, (await ask(`/unknown.jpg?${query}`)).body.equals(jpeg)]).toEqual([query, true]);
    }
    for (const query of ["imageView3/2/w/10", "imageView2x", "imageslim", "IMAGEINFO"])
      expect([query, ...statusOf(await ask(`/unknown.jpg?${query}`))]).toEqual([query, 400, "-106"]);
  });

  test("with ignore-error returns the original if the image cannot be processed", async () => {
    const icon = await noisyIco(16, 16);
    pictures.set("/icon.ico", icon);
    expect(statusOf(await ask("/icon.ico?imageView2/2/w/10"))).toEqual([400, "-441"]);
    const answer = await ask("/icon.ico?imageView2/2/w/10/ignore-error/1");
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "image/x-icon"]);
    expect(answer.body.equals(icon)).toBe(true);
    // An ICO is never processed, so caches may store the original as any other.
    const later = await settled("/icon.ico?imageView2/2/w/10/ignore-error/1");
    expect(later.headers["cache-control"]).toBe((await settled("/icon.ico")).headers["cache-control"]);
    expect(later.headers["cache-control"]).toMatch(/max-age=\d{3}/);
  });

  test("with ignore-error returns an original that has just been fetched without another fetch", async () => {
    const icon = await noisyIco(16, 16);
    pictures.set("/cold.ico", icon);
    const answer = await ask("/cold.ico?imageView2/2/w/10/ignore-error/1");
    expect([answer.status, answer.body.equals(icon), requestsFor("/cold.ico")]).toEqual([200, true, 1]);
    expect(answer.headers["cache-status"]).toMatch(/^huiyuan; fwd=uri-miss/);
  });

  test("with ignore-error returns a damaged original as its own URL does, and stores no variant", async () => {
    const cut = jpeg.subarray(0, jpeg.length - 2);
    pictures.set("/cut.jpg", cut);
    const plain = await ask("/cut.jpg");
    const answer = await ask("/cut.jpg?imageView2/2/w/10/ignore-error/1");
    expect([answer.status, answer.body.equals(cut)]).toEqual([200, true]);
    expect(answer.headers["content-type"]).toBe(plain.headers["content-type"]);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect((await ask("/cut.jpg?imageView2/2/w/10")).status).toBe(424);
  });

  test("with ignore-error returns a damaged original, and costs another client that reads it slowly no byte", async () => {
    const whole = await noisyJpeg(7600, 5600);
    const cut = whole.subarray(0, whole.length - 2);
    pictures.set("/slow-cut.jpg", cut);
    const socket = connect(program.downloadPort, "127.0.0.1");
    socket.write("GET /slow-cut.jpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    socket.pause();
    const answer = await ask("/slow-cut.jpg?imageView2/2/w/10/ignore-error/1");
    expect([answer.status, answer.body.length]).toEqual([200, cut.length]);
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.resume();
    await eventually(() => bytes > cut.length, "the slow client has the whole image");
    socket.destroy();
  });

  test("with ignore-error returns the original if a parameter is wrong", async () => {
    for (const query of [
      "imageMogr2/thumbnail/abc/ignore-error/1",
      "imageView2/9/w/10/ignore-error/1",
      "imageMogr2/ignore-error/1|watermark/9",
    ]) {
      const answer = await ask(`/wrong.jpg?${query}`);
      expect([query, answer.status, answer.body.equals(jpeg)]).toEqual([query, 200, true]);
    }
    expect(statusOf(await ask("/wrong.jpg?imageMogr2/thumbnail/abc/ignore-error/0"))).toEqual([400, "-106"]);
  });

  test("for image facts returns JSON with validators", async () => {
    const info = await ask("/facts.jpg?imageInfo");
    expect(info.headers).toMatchObject({ "content-type": "application/json", etag: expect.any(String) });
    expect(JSON.parse(info.body.toString())).toMatchObject({
      ...{ format: "jpeg", width: "1200", height: "900", size: String(jpeg.length) },
      md5: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(JSON.parse((await ask("/facts.jpg?exif")).body.toString())).toEqual({ error: "no exif data" });
    expect(JSON.parse((await ask("/facts.jpg?imageAve")).body.toString())).toEqual({
      RGB: expect.stringMatching(/^0x[0-9a-f]{6}$/),
    });
    const piped = await ask("/facts.jpg?imageView2/2/w/100|imageInfo");
    expect(JSON.parse(piped.body.toString())).toMatchObject({ width: "100", height: "75" });
    expect(JSON.parse((await ask("/facts.jpg!checked")).body.toString())).toMatchObject({ width: "1200" });
    const again = await settled("/facts.jpg?imageInfo");
    expect([again.headers.etag, again.body.equals(info.body)]).toEqual([info.headers.etag, true]);
    expect(
      (await ask("/facts.jpg?imageInfo", { headers: { "If-None-Match": String(info.headers.etag) } })).status,
    ).toBe(304);
    expect(requestsFor("/facts.jpg")).toBe(1);
  });
});

describe("format/auto", () => {
  test("returns the format that Accept names, with Vary, and makes at most three variants", async () => {
    const before = await renders();
    const accepts = [
      "image/avif,image/webp,*/*",
      "image/webp,image/*",
      "*/*",
      "",
      "image/png;q=0.5",
      "IMAGE/AVIF, image/webp;q=0",
    ];
    const seen: unknown[] = [];
    for (const accept of accepts) {
      const answer = await ask("/auto.jpg!web", accept === "" ? {} : { headers: { Accept: accept } });
      expect([answer.status, answer.headers.vary]).toEqual([200, "Origin, Accept"]);
      seen.push(answer.headers["content-type"]);
    }
    expect(seen).toEqual(["image/avif", "image/webp", "image/jpeg", "image/jpeg", "image/jpeg", "image/avif"]);
    expect((await renders()) - before).toBe(3);
    const hit = await settled("/auto.jpg!web", { headers: { Accept: "image/webp" } });
    expect([hit.headers.vary, hit.headers["content-type"]]).toEqual(["Origin, Accept", "image/webp"]);
    const unchanged = await ask("/auto.jpg!web", {
      headers: { Accept: "image/webp", "If-None-Match": String(hit.headers.etag) },
    });
    expect([unchanged.status, unchanged.headers.vary]).toEqual([304, "Origin, Accept"]);
  });

  test("keeps transparency", async () => {
    pictures.set("/clear.png", png);
    const answer = await ask("/clear.png?imageView2/2/format/auto");
    expect([answer.headers["content-type"], (await sharp(answer.body).metadata()).hasAlpha]).toEqual([
      "image/png",
      true,
    ]);
  });
});

describe("together with its original", () => {
  test("a variant vanishes when the original is deleted, and is back when it is undeleted", async () => {
    const path = "/deleted.jpg?imageView2/2/w/210";
    pictures.set("/deleted.jpg", await noisyJpeg(1_000, 700));
    const before = await settled(path);
    expect(isVariantStored(before)).toBe(true);
    await change("delete", "deleted.jpg");
    expect(isVariantStored(before)).toBe(false);
    expect(statusOf(await ask(path))).toEqual([404, "-6101"]);
    expect(statusOf(await ask("/deleted.jpg!small"))).toEqual([404, "-6101"]);
    await change("undelete", "deleted.jpg");
    expect((await ask(path)).body.equals(before.body)).toBe(true);
    expect(requestsFor("/deleted.jpg")).toBe(2);
  });

  test("a variant stays as long as another image has the same bytes, and a deleted one is not served from it", async () => {
    const [one, two] = ["one", "two"].map((name) => `/twin-${name}.jpg?imageView2/2/w/211`) as [string, string];
    const twin = await noisyJpeg(1_000, 702);
    for (const name of ["one", "two"]) pictures.set(`/twin-${name}.jpg`, twin);
    const before = await settled(one);
    await settled(two);
    const rendered = await renders();
    await change("delete", "twin-one.jpg");
    expect(statusOf(await ask(one))).toEqual([404, "-6101"]);
    expect(isVariantStored(before)).toBe(true);
    expect((await ask(two)).body.equals(before.body)).toBe(true);
    expect(await renders()).toBe(rendered);
    await change("purge", "twin-two.jpg", true);
    expect(isVariantStored(before)).toBe(false);
  });

  test("a variant changes when the original is purged and the origin has another", async () => {
    const path = "/purged.jpg?imageView2/2/w/220";
    pictures.set("/purged.jpg", await noisyJpeg(1_000, 701));
    const before = await settled(path);
    pictures.set("/purged.jpg", other);
    await change("purge", "purged.jpg", false);
    expect(isVariantStored(before)).toBe(false);
    const after = await ask(path);
    expect([await sizeOf(after.body), after.headers.etag === before.headers.etag]).toEqual([["jpeg", 220, 293], false]);
    expect(after.headers["cache-status"]).toBe("huiyuan; fwd=stale; fwd-status=200");
    await change("purge", "purged.jpg", true);
    expect(await sizeOf((await ask(path)).body)).toEqual(["jpeg", 220, 293]);
  });

  test("a variant of a purged original that the origin still has is served with the same bytes", async () => {
    const path = "/same.jpg?imageView2/2/w/230";
    const before = await settled(path);
    await change("purge", "same.jpg", false);
    const after = await ask(path);
    expect([after.status, after.headers.etag]).toEqual([200, before.headers.etag]);
  });

  test("a variant is made of the earlier original if that is replaced while the render is queued", async () => {
    await settled("/busy.jpg");
    await settled("/waits.jpg");
    let [isOver, angle] = [false, 0];
    const busy = Array.from({ length: 40 }, async () => {
      while (!isOver) {
        angle += 1;
        await ask(`/busy.jpg?imageMogr2/rotate/${angle % 360}`);
      }
    });
    try {
      const waiting: Promise<GetResult>[] = [];
      for (const [index, picture] of [other, jpeg, other].entries()) {
        waiting.push(ask(`/waits.jpg?imageView2/2/w/${100 * (index + 1)}`));
        pictures.set("/waits.jpg", picture);
        await change("purge", "waits.jpg", false);
        await ask("/waits.jpg");
        expect((await settled("/waits.jpg")).body.equals(picture)).toBe(true);
      }
      for (const [index, made] of (await Promise.all(waiting)).entries()) {
        const width = 100 * (index + 1);
        const either = [(width * 3) / 4, (width * 4) / 3].map((height) => ["jpeg", width, Math.round(height)]);
        expect(statusOf(made)).toEqual([200, undefined]);
        expect(either).toContainEqual(await sizeOf(made.body));
      }
    } finally {
      isOver = true;
    }
    await Promise.all(busy);
  });

  test("a variant becomes stale", async () => {
    const path = "/aging/a.jpg?imageView2/2/w/240";
    const began = performance.now();
    for (const { headers } of [await ask(path), await settled(path)]) {
      const left = Number(/max-age=(\d+)$/.exec(String(headers["cache-control"]))?.[1]);
      // The original was not stored before.
      const seconds = (performance.now() - began) / 1_000;
      expect(left).toBeGreaterThanOrEqual(Math.floor(3_600 - seconds) - 1);
      expect(left).toBeLessThanOrEqual(3_600);
      expect(headers.age).toBeUndefined();
    }
  });
});
