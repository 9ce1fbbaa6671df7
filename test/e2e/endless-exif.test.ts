// Small images whose EXIF directories point to each other, through the whole program. They are stored, processed and
// described as fast as other images, with the same pixels.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ExifFormat, exifBlock, filesWithExif, loopedExif, pixelsOf } from "../helpers/exif-files.ts";
import { get } from "../helpers/get.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { b64 } from "../helpers/rendering.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { oneBucket } from "../helpers/settings.ts";

/** libexif would take several times as long for each image. */
const LIMITS = { renderTime: "2s" };

let installation: Installation;
let program: Program;
let looped: Readonly<Record<ExifFormat, Buffer>>;
let plain: Readonly<Record<ExifFormat, Buffer>>;

beforeAll(async () => {
  looped = await filesWithExif(loopedExif());
  plain = await filesWithExif(exifBlock([]));
  installation = await install(oneBucket(undefined, {}, { limits: LIMITS }));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

const upload = (fileid: string, image: Buffer) =>
  callApi({ port: program.downloadPort, path: `/${fileid}`, form: fileForm(image), sign: uploadToken(fileid) });

async function ask(path: string): Promise<Buffer> {
  const { status, headers, body } = await get({ port: program.downloadPort, path });
  expect([path, status, headers["x-errno"]]).toEqual([path, 200, undefined]);
  return body;
}

test.each(["jpeg", "png", "webp", "avif"] as const)("%s is processed as if it had no EXIF", async (format) => {
  for (const [name, files] of Object.entries({ looped, plain }))
    expect((await upload(`${name}.${format}`, files[format])).code).toBe(0);
  expect(await ask(`/looped.${format}`)).toEqual(looped[format]);

  for (const instruction of [
    "imageView2/2/w/20/format/png",
    "imageMogr2/auto-orient/crop/30x30/rotate/45/format/png",
  ]) {
    const [shown, wanted] = await Promise.all(
      ["looped", "plain"].map(async (name) => pixelsOf(await ask(`/${name}.${format}?${instruction}`))),
    );
    expect(shown?.equals(wanted!)).toBe(true);
  }
  expect(JSON.parse((await ask(`/looped.${format}?imageInfo`)).toString())).toMatchObject({
    size: String(looped[format].length),
    md5: createHash("md5").update(looped[format]).digest("hex"),
    width: "64",
  });
  expect(JSON.parse((await ask(`/looped.${format}?exif`)).toString())).toEqual({ error: "no exif data" });
});

test("it is also processed as a watermark, and as an image that must not be enlarged", async () => {
  for (const format of ["jpeg", "png", "webp", "avif"] as const) {
    const mark = b64(`http://any.example/looped.${format}`);
    await ask(`/plain.png?watermark/1/image/${mark}/dx/1`);
  }
  const told = await ask("/looped.jpeg?imageMogr2/size-limit/100k!|exif");
  expect(JSON.parse(told.toString())).toEqual({ error: "no exif data" });
});
