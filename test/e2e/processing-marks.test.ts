// Image watermarks, through the whole program: they are stored, become stale and are revalidated like any original.
import { hash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { claimingPng } from "../helpers/hostile-images.ts";
import { noisyIco } from "../helpers/images.ts";
import { changeObjects, storedObjects } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { BLUE, b64, colourAt, difference, GREEN, RED, solid, WHITE } from "../helpers/rendering.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const BUCKET = `${APPID}/photos`;
const DAY = "public, max-age=86400";

/** The origin's images by path; a string is a status in place of an image. */
const pictures = new Map<string, Buffer | string>();
const headers = new Map<string, Readonly<Record<string, string>>>();
let white: Buffer;
let red: Buffer;
let blue: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const markedWith = (key: string) => `watermark/1/image/${b64(`http://img.example/${key}`)}/gravity/center/dissolve/100`;
const ask = (path: string) => get({ port: program.downloadPort, host: "img.example", path });
const askMarked = (key: string) => ask(`/white.png?${markedWith(key)}`);
const status = ({ headers }: GetResult) => String(headers["cache-status"]);
const isIn = async ({ body }: GetResult, colour: typeof RED) => difference(await colourAt(body, 0.5, 0.5), colour) < 8;
const purge = (key: string) => changeObjects(program.adminPort, "purge", { bucket: BUCKET, names: [key] });

/** Stores a red watermark and a variant with it; resolves once memory or bucket serve the variant. */
async function settle(key: string): Promise<GetResult> {
  pictures.set(`/${key}`, red);
  const first = await askMarked(key);
  expect([first.status, await isIn(first, RED)]).toEqual([200, true]);
  await eventually(() => keysIn(installation.data, BUCKET).includes(key), `${key} is stored`);
  await eventually(async () => /^huiyuan; hit/.test(status(await askMarked(key))), "the variant is stored");
  return first;
}

beforeAll(async () => {
  white = await solid(400, 300, WHITE).png().toBuffer();
  red = await solid(100, 60, RED).png().toBuffer();
  blue = await solid(100, 60, BLUE).png().toBuffer();
  pictures.set("/white.png", white);
  origin = await startScriptedOrigin(({ target }, connection) => {
    const picture = pictures.get(target) ?? "404 Not Found";
    const isImage = typeof picture !== "string";
    return connection.send(
      isImage ? response(picture, { headers: headers.get(target) ?? {} }) : response("", { status: picture }),
    );
  });
  const ttl = { mode: "ttl", ttl: "1s", staleIfError: "1h" };
  const rules = [
    { match: { prefix: "aging/" }, freshness: ttl },
    { match: { prefix: "brief/" }, freshness: { ...ttl, staleIfError: "0s" } },
    { match: { prefix: "removed/" }, freshness: { ...ttl, staleIfError: "0s", onGone: "remove" } },
    { match: { prefix: "declared/" }, freshness: { mode: "origin" } },
  ];
  installation = await install(
    oneBucket(mirrorOf(origin.url, { rules, negativeTtl: "1s", breaker: { failures: 1_000 } }), { cacheControl: DAY }),
  );
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

describe("an image watermark", () => {
  test("that is purged is fetched first, and its next version is applied", async () => {
    const before = await settle("purged.png");
    pictures.set("/purged.png", blue);
    await purge("purged.png");
    const after = await askMarked("purged.png");
    expect([after.status, await isIn(after, BLUE), after.headers.etag === before.headers.etag]).toEqual([
      200,
      true,
      false,
    ]);
    await eventually(async () => isIn(await ask("/purged.png"), BLUE), "the new watermark is stored");
    expect(await isIn(await askMarked("purged.png"), BLUE)).toBe(true);
    expect(after.headers["cache-control"]).toBe(DAY);
  });

  test("that is purged is still applied while the origin fails", async () => {
    const before = await settle("failing.png");
    pictures.set("/failing.png", "500 Internal Server Error");
    await purge("failing.png");
    const after = await askMarked("failing.png");
    expect([after.status, after.headers.etag]).toEqual([200, before.headers.etag]);
  });

  test("that is stale is applied at once while its next version is fetched, and the response's max-age says so", async () => {
    const first = await settle("aging/logo.png");
    // The max-age comes from the watermark: the image below it never becomes stale.
    expect(first.headers["cache-control"]).toMatch(/^public, max-age=[01]$/);
    pictures.set("/aging/logo.png", blue);
    let last = first;
    await eventually(async () => {
      last = await askMarked("aging/logo.png");
      return status(last).includes("ttl=-");
    }, "the watermark is stale");
    expect([await isIn(last, RED), status(last)]).toEqual([
      true,
      expect.stringMatching(/^huiyuan; hit; ttl=-\d+; detail=\w+$/),
    ]);
    expect(last.headers["cache-control"]).toBe("public, max-age=0");
    await eventually(async () => isIn(await askMarked("aging/logo.png"), BLUE), "the new watermark is applied");
  });

  test("that is too stale to be used is fetched first", async () => {
    await settle("brief/logo.png");
    pictures.set("/brief/logo.png", blue);
    await eventually(async () => isIn(await askMarked("brief/logo.png"), BLUE), "the new watermark is applied");
  });

  test("that the origin has lost is removed if onGone says so", async () => {
    await settle("removed/logo.png");
    pictures.set("/removed/logo.png", "404 Not Found");
    await eventually(async () => (await askMarked("removed/logo.png")).status === 400, "the watermark is removed");
    expect((await askMarked("removed/logo.png")).headers["x-errno"]).toBe("-106");
  });

  test("that the origin forbids to store makes its variants not storable", async () => {
    headers.set("/declared/logo.png", { "Cache-Control": "no-store" });
    pictures.set("/declared/logo.png", await solid(100, 60, GREEN).png().toBuffer());
    const answer = await askMarked("declared/logo.png");
    expect([answer.status, await isIn(answer, GREEN)]).toEqual([200, true]);
    expect(answer.headers["cache-control"]).toBe("no-store");
    const kept = storedObjects(installation.data, `variants/${BUCKET}`).map(({ sha256 }) => sha256);
    expect(kept).not.toContain(hash("sha256", answer.body));
  });

  test("does not matter here: an image that may not be stored is fetched once, also when it is served unprocessed", async () => {
    const icon = await noisyIco(16, 16);
    headers.set("/declared/once.ico", { "Cache-Control": "no-store" });
    pictures.set("/declared/once.ico", icon);
    for (const times of [1, 2]) {
      const answer = await ask("/declared/once.ico?imageView2/2/w/10/ignore-error/1");
      expect([answer.status, answer.body.equals(icon)]).toEqual([200, true]);
      expect(origin.requests.filter(({ target }) => target === "/declared/once.ico")).toHaveLength(times);
    }
  });

  test.each([
    ["no image", (): Buffer | string => Buffer.from("hello"), 400, "-106"],
    ["cut short", (): Buffer | string => red.subarray(0, red.length - 12), 400, "-106"],
    ["whole but without pixels", (): Buffer | string => claimingPng(60, 60), 400, "-106"],
    ["an error", (): Buffer | string => "500 Internal Server Error", 424, "-120"],
  ] as const)(
    "for which the origin returns %s is named in the error, and left out with ignore-error",
    async (what, body, status, errNo) => {
      const key = `bad-${what.replaceAll(" ", "-")}.png`;
      pictures.set(`/${key}`, body());
      const answer = await askMarked(key);
      expect([answer.status, answer.headers["x-errno"]]).toEqual([status, errNo]);
      expect(answer.body.toString()).toContain("watermark/image");
      const without = await ask(`/white.png?imageMogr2/ignore-error/1|${markedWith(key)}`);
      expect([without.status, without.body.equals(white), without.headers["cache-control"]]).toEqual([
        200,
        true,
        "no-store",
      ]);
    },
  );

  test.each([
    ["scaled", [1, 400], "/scatype/1/spcent/1000", "watermark/spcent"],
    ["scaled and turned", [1, 40], "/scatype/1/spcent/1000/degree/45/batch/1", "watermark/spcent"],
    ["turned as it is", [5000, 5000], "/degree/45/batch/1", "watermark/degree"],
  ] as const)(
    "that is too large when it is %s is refused with the name of the parameter that makes it so",
    async (how, size, look, parameter) => {
      const key = `large-${how.replaceAll(" ", "-")}.png`;
      pictures.set(`/${key}`, await solid(size[0], size[1], RED).png().toBuffer());
      const answer = await ask(`/white.png?${markedWith(key)}${look}`);
      expect([answer.status, answer.headers["x-errno"]]).toEqual([400, "-106"]);
      expect(JSON.parse(answer.body.toString()).message).toMatch(/: .*, wanted .* megapixels/);
      expect(answer.body.toString()).toContain(parameter);
      // Scaled down to the image, the watermark is small enough.
      expect((await ask(`/white.png?${markedWith(key)}${look}/blogo/1`)).status).toBe(200);
    },
  );

  test("that is missing yields the original with ignore-error, which no cache may store", async () => {
    const askLate = () => ask(`/white.png?imageMogr2/thumbnail/300x/ignore-error/1|${markedWith("late.png")}`);
    const before = await askLate();
    expect([before.status, before.body.equals(white)]).toEqual([200, true]);
    expect(before.headers["cache-control"]).toBe("no-store");
    pictures.set("/late.png", red);
    let after = before;
    await eventually(async () => {
      after = await askLate();
      return !after.body.equals(white);
    }, "the watermark is found");
    expect([await isIn(after, RED), after.headers["cache-control"]]).toEqual([true, DAY]);
  });
});
