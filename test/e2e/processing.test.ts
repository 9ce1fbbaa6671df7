// Processed images over HTTP, from an origin that is asked once, through the whole program.
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GetOptions, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { head, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

let jpeg: Buffer;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const asked = (target: string) => origin.requests.filter((request) => request.target === target).length;
const ask = (path: string, more: Partial<GetOptions> = {}) => get({ port: program.downloadPort, path, ...more });
const sizeOf = async (bytes: Buffer) => {
  const { format, width, height } = await sharp(bytes).metadata();
  return [format, width, height];
};

beforeAll(async () => {
  jpeg = await noisyJpeg(1200, 900);
  origin = await startScriptedOrigin(async (request, connection) => {
    if (request.target.startsWith("/none")) {
      await connection.send(head("404 Not Found", [["Content-Length", "0"]]));
      return;
    }
    await connection.pause(100);
    await connection.send(head("200 OK", [["Content-Length", String(jpeg.length)]]));
    await connection.send(jpeg);
  });
  installation = await install(oneBucket(mirrorOf(origin.url), { aliases: { small: "imageView2/2/w/200/h/200" } }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test("a cold processed URL costs one origin request; the original and the variant are kept", async () => {
  const first = await ask("/cold.jpg?imageView2/2/w/300");
  expect([first.status, await sizeOf(first.body)]).toEqual([200, ["jpeg", 300, 225]]);
  expect(first.headers).toMatchObject({ "content-type": "image/jpeg", "content-length": String(first.body.length) });
  const again = await ask("/cold.jpg?imageView2/2/w/300");
  expect(again.body.equals(first.body)).toBe(true);
  expect(again.headers["cache-status"]).toMatch(/^huiyuan; hit; detail=(spool|memory)$/);
  expect(again.headers.etag).toBe(first.headers.etag);
  await eventually(
    async () => /hit/.test(String((await ask("/cold.jpg")).headers["cache-status"])),
    "the original is stored",
  );
  expect(asked("/cold.jpg")).toBe(1);
});

test("100 clients on one cold processed URL cost 1 origin request and 1 render", async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask("/hundred.jpg!small")));
  expect(await sizeOf(answers[0]?.body ?? Buffer.alloc(0))).toEqual(["jpeg", 200, 150]);
  for (const { status, body, headers } of answers) {
    expect([status, body.equals(answers[0]?.body ?? body), headers.etag]).toEqual([
      200,
      true,
      answers[0]?.headers.etag,
    ]);
  }
  expect(asked("/hundred.jpg")).toBe(1);
  expect(origin.requests.filter(({ target }) => target.includes("small"))).toEqual([]);
});
