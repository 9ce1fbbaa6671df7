// Uploads in slices over HTTP: in the formats of the PHP and the Java SDK, across a restart, sent twice, out of order,
// and without any slice if the bucket already has the bytes.
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyHeic, noisyIco, noisyJpeg, noisyTiff } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import { type ApiResult, callApi, makeForm, tokenFor, uploadToken } from "../helpers/rest-api.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

let jpeg: Buffer;
let small: Buffer;
let installation: Installation;
let program: Program;

const bucket = (name: string, more: object = {}) => ({ name, ...more });

beforeAll(async () => {
  [jpeg, small] = await Promise.all([noisyJpeg(1_200, 900), noisyJpeg(64, 48)]);
  installation = await install({
    projects: [
      { appid: APPID, keys: [KEYS[0]], buckets: [bucket("photos"), bucket("others")] },
      { appid: "10009999", keys: [KEYS[1]], buckets: [bucket("photos")] },
    ],
  });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

const sha1 = (bytes: Buffer) => createHash("sha1").update(bytes).digest("hex");

/** One packet, its parts in this order. */
function packet(
  path: string,
  fields: Readonly<Record<string, string | Buffer>>,
  sign = uploadToken(),
): Promise<ApiResult> {
  const form = makeForm(Object.entries(fields).map(([name, content]) => ({ name, content })));
  // The slice packets of PHP and Java carry the signature bare.
  return callApi({ port: program.downloadPort, path, form, headers: { authorization: sign } });
}

const announce = (path: string, image: Buffer, more: Readonly<Record<string, string>> = {}) =>
  packet(path, { op: "upload_slice", sha: sha1(image), filesize: String(image.byteLength), ...more });

const sliceOf = (image: Buffer, offset: number, size: number) => image.subarray(offset, offset + size);

async function begin(path: string, image: Buffer, sliceSize: number): Promise<string> {
  const begun = await announce(path, image, { slice_size: String(sliceSize), session: "" });
  expect(begun).toMatchObject({ status: 200, code: 0, data: { offset: 0, slice_size: sliceSize } });
  return begun.data.session as string;
}

const send = (path: string, session: string, offset: number, fileContent: Buffer) =>
  packet(path, { op: "upload_slice", session, offset: String(offset), fileContent });

/** Sends slices until the response has a url, as every client does. */
async function sendAll(path: string, session: string, image: Buffer, { from = 0, size = 65_536 } = {}) {
  for (let offset = from; offset < image.byteLength; offset += size) {
    const answer = await send(path, session, offset, sliceOf(image, offset, size));
    if (answer.code !== 0 || answer.data.url !== undefined) return answer;
    expect(answer.data).toEqual({ session, offset });
  }
  throw new Error("the last slice was not answered as an upload");
}

const download = async (fileid: string) => {
  const answer = await get({ port: program.downloadPort, host: `photos-${APPID}.localhost`, path: pathOf(fileid) });
  return answer.status === 200 ? answer.body : undefined;
};

const stored = (fileid: string, width = 1_200, height = 900) => ({
  status: 200,
  code: 0,
  message: "SUCCESS",
  data: { fileid, url: expect.any(String), download_url: expect.any(String), info: [{ "0": { width, height } }] },
});

describe("slices", () => {
  test("are accepted from the PHP SDK: 16384 bytes each, every field in every packet", async () => {
    const common = { op: "upload_slice", filesize: String(small.byteLength), sha: sha1(small), slice_size: "2048" };
    const begun = await packet("/php.jpg", { ...common, magicContext: "context" });
    expect(begun).toMatchObject({ status: 200, code: 0, data: { offset: 0, slice_size: 2_048 } });
    const session = begun.data.session as string;
    let answer = begun;
    for (let offset = 0; offset < small.byteLength; offset += 2_048) {
      const fileContent = sliceOf(small, offset, 2_048);
      answer = await packet("/php.jpg", { ...common, session, offset: String(offset), fileContent });
      expect(answer.status).toBe(200);
    }
    expect(answer).toMatchObject(stored("php.jpg", 64, 48));
    expect((await download("php.jpg"))?.equals(small)).toBe(true);
  });

  test("are accepted from the Java SDK: an empty session first, each part text/plain in US-ASCII", async () => {
    const image = await noisyJpeg(333, 222);
    const headers = ["Content-Type: text/plain; charset=US-ASCII", "Content-Transfer-Encoding: 8bit"];
    const fields = {
      op: "upload_slice",
      slice_size: "524288",
      session: "",
      filesize: `${image.byteLength}`,
      sha: sha1(image),
    };
    const control = makeForm(Object.entries(fields).map(([name, content]) => ({ name, content, headers })));
    const begun = await callApi({
      port: program.downloadPort,
      path: "/java.jpg",
      form: control,
      headers: { authorization: uploadToken() },
    });
    expect(begun).toMatchObject({ code: 0, data: { offset: 0, slice_size: 524_288 } });
    const data = makeForm([
      { name: "op", content: "upload_slice", headers },
      { name: "session", content: begun.data.session as string, headers },
      { name: "offset", content: "0", headers },
      {
        name: "fileContent",
        content: image,
        filename: "qcloud",
        headers: ["Content-Type: application/octet-stream", "Content-Transfer-Encoding: binary"],
      },
    ]);
    const answer = await callApi({
      port: program.downloadPort,
      path: "/java.jpg",
      form: data,
      headers: { authorization: uploadToken() },
    });
    expect(answer).toMatchObject(stored("java.jpg", 333, 222));
  });

  test("continue after a kill -9, from the slice that the server names", async () => {
    const session = await begin("/restart.jpg", jpeg, 65_536);
    for (const offset of [0, 65_536]) await send("/restart.jpg", session, offset, sliceOf(jpeg, offset, 65_536));
    await program.kill();
    program = await installation.start();
    const asked = await packet("/restart.jpg", { op: "upload_slice", session });
    expect(asked).toMatchObject({ code: 0, data: { session, offset: 131_072, slice_size: 65_536 } });
    expect(await sendAll("/restart.jpg", session, jpeg, { from: 131_072 })).toMatchObject(stored("restart.jpg"));
    expect((await download("restart.jpg"))?.equals(jpeg)).toBe(true);
    // As if the response was lost: the last slice is sent again, also after a restart of the server.
    const last = Math.floor(jpeg.byteLength / 65_536) * 65_536;
    const again = () => send("/restart.jpg", session, last, sliceOf(jpeg, last, 65_536));
    expect(await again()).toMatchObject(stored("restart.jpg"));
    await program.kill();
    program = await installation.start();
    expect(await again()).toMatchObject(stored("restart.jpg"));
    expect((await readdir(join(installation.data, "slices"))).filter((name) => name.endsWith(".part"))).not.toContain(
      `${session}.part`,
    );
  });

  test("that were accepted before are accepted again, and those ahead are refused", async () => {
    const image = await noisyJpeg(300, 200);
    const session = await begin("/again.jpg", image, 4_096);
    const first = sliceOf(image, 0, 4_096);
    expect(await send("/again.jpg", session, 0, first)).toMatchObject({ code: 0, data: { offset: 0 } });
    expect(await send("/again.jpg", session, 0, first)).toMatchObject({ code: 0, data: { offset: 0 } });
    expect(await send("/again.jpg", session, 8_192, sliceOf(image, 8_192, 4_096))).toMatchObject({
      status: 400,
      code: -284,
      data: {},
    });
    const answer = await sendAll("/again.jpg", session, image, { from: 4_096, size: 4_096 });
    expect(answer).toMatchObject(stored("again.jpg", 300, 200));
  });

  test("of one session that are sent concurrently make one image", async () => {
    const image = await noisyJpeg(310, 210);
    const session = await begin("/race.jpg", image, 8_192);
    const offsets = Array.from({ length: Math.ceil(image.byteLength / 8_192) }, (_, index) => index * 8_192);
    for (const offset of offsets) {
      const same = await Promise.all(
        Array.from({ length: 4 }, () => send("/race.jpg", session, offset, sliceOf(image, offset, 8_192))),
      );
      expect(same.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    }
    expect((await download("race.jpg"))?.equals(image)).toBe(true);
  });

  test("are not needed for bytes that this very bucket has, if the announced size is right", async () => {
    const image = await noisyJpeg(320, 200);
    const whole = makeForm([{ name: "FileContent", content: image }]);
    expect(
      await callApi({ port: program.downloadPort, path: "/first.jpg", form: whole, sign: uploadToken() }),
    ).toMatchObject({ code: 0 });
    const instant = await announce("/second.jpg", image);
    expect(instant).toMatchObject(stored("second.jpg", 320, 200));
    expect(instant.data.session).toBeUndefined();
    expect((await download("second.jpg"))?.equals(image)).toBe(true);
    const generated = await announce("", image);
    expect(generated).toMatchObject({ code: 0, data: { fileid: expect.stringMatching(/^[0-9a-f-]{36}$/) } });
    expect(await announce("/second.jpg", image)).toMatchObject({ code: -1886 });
    const wrongSize = await packet("/third.jpg", { op: "upload_slice", sha: sha1(image), filesize: "99999" });
    expect(wrongSize.data.session).toBeDefined();
    const otherBucket = await callApi({
      port: program.downloadPort,
      target: `/photos/v2/${APPID}/others/0/third.jpg`,
      form: makeForm(
        Object.entries({ op: "upload_slice", sha: sha1(image), filesize: `${image.byteLength}` }).map(
          ([name, content]) => ({ name, content }),
        ),
      ),
      sign: uploadToken("", "others"),
    });
    expect([otherBucket.code, otherBucket.data.url]).toEqual([0, undefined]);
  });

  test("to a URL without a fileid get one, which all packets share", async () => {
    const image = await noisyJpeg(200, 210);
    const session = await begin("", image, 16_384);
    const { code, data } = await sendAll("/", session, image, { size: 16_384 });
    expect(code).toBe(0);
    expect((await download(data.fileid as string))?.equals(image)).toBe(true);
  });

  test.each<[string, Record<string, string>, number]>([
    ["no sha", { filesize: "100" }, -5992],
    ["an invalid sha", { sha: "xyz", filesize: "100" }, -5992],
    ["no filesize", { sha: "0".repeat(40) }, -5992],
    ["an invalid filesize", { sha: "0".repeat(40), filesize: "-1" }, -5992],
    ["a filesize of 0", { sha: "0".repeat(40), filesize: "0" }, -5995],
    ["a filesize over the limit", { sha: "0".repeat(40), filesize: "20971521" }, -285],
    ["a slice size over 3 MB", { sha: "0".repeat(40), filesize: "9999999", slice_size: "3145729" }, -5991],
    ["a slice size that is tiny", { sha: "0".repeat(40), filesize: "99999", slice_size: "10" }, -283],
    ["an unknown session", { session: "0".repeat(32) }, -5983],
  ])("a control packet with %s is refused with its code", async (_, fields, code) => {
    expect(await packet("/bad.jpg", { op: "upload_slice", ...fields })).toMatchObject({ status: 400, code, data: {} });
  });

  test("get a code for each fault of a data packet, and the upload continues", async () => {
    const image = await noisyJpeg(210, 220);
    const session = await begin("/faults.jpg", image, 4_096);
    const first = sliceOf(image, 0, 4_096);
    const refusals: [Record<string, string | Buffer>, number][] = [
      [{ offset: "0", fileContent: first }, -5983],
      [{ session: "f".repeat(32), offset: "0", fileContent: first }, -5983],
      [{ session, fileContent: first }, -5992],
      [{ session, offset: "x", fileContent: first }, -5992],
      [{ session, offset: "1", fileContent: first }, -284],
      [{ session, offset: "0", fileContent: first.subarray(1) }, -284],
      [{ session, offset: "0", fileContent: "" }, -284],
      [{ session, offset: "0", fileContent: Buffer.alloc(3_145_729) }, -5991],
      [{ session, offset: "999999999", fileContent: first }, -284],
    ];
    for (const [fields, code] of refusals) {
      expect(await packet("/faults.jpg", { op: "upload_slice", ...fields })).toMatchObject({ status: 400, code });
    }
    // The URL of another file, and of another project.
    expect(await send("/other.jpg", session, 0, first)).toMatchObject({ code: -5983 });
    expect(await sendAll("/faults.jpg", session, image, { size: 4_096 })).toMatchObject(stored("faults.jpg", 210, 220));
  });

  test("end their upload if they make another file than announced, or no image", async () => {
    const image = await noisyJpeg(100, 110);
    const changed = Buffer.from(image);
    changed[300] = (changed[300] ?? 0) ^ 1;
    const session = await begin("/changed.jpg", image, 16_384);
    expect(await sendAll("/changed.jpg", session, changed, { size: 16_384 })).toMatchObject({
      status: 400,
      code: -5984,
    });
    expect(await packet("/changed.jpg", { op: "upload_slice", session })).toMatchObject({ code: -5983 });
    const text = Buffer.from("no image".repeat(500));
    const other = await begin("/text.jpg", text, 16_384);
    expect(await sendAll("/text.jpg", other, text, { size: 16_384 })).toMatchObject({ status: 400, code: -1893 });
    expect(await download("changed.jpg")).toBeUndefined();
    expect(await download("text.jpg")).toBeUndefined();
  });

  test("and whole forms take the formats that no decoder reads, in V1 and V2, and store only whole ones", async () => {
    const upload = (version: string, name: string, content: Buffer, sign: string) =>
      callApi({
        port: program.downloadPort,
        target: version === "v1" ? `/photos/v1/${APPID}/0/${name}` : `/photos/v2/${APPID}/photos/0/${name}`,
        form: makeForm([{ name: "FileContent", content }]),
        sign,
      });
    const v1 = (fileid: string) => tokenFor({ bucket: undefined, fileid, life: 600 });
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
    for (const { name, image, type, width, height } of [
      { name: "b.tiff", image: await noisyTiff(64, 48), type: "image/tiff", width: 64, height: 48 },
      { name: "b.heic", image: await noisyHeic(64, 48), type: "image/heic", width: 64, height: 48 },
      { name: "b.ico", image: await noisyIco(64, 48), type: "image/x-icon", width: 64, height: 48 },
      { name: "b.svg", image: svg, type: "image/svg+xml", width: 0, height: 0 },
    ]) {
      const cut = image.subarray(0, -2);
      expect([name, await upload("v2", name, cut, uploadToken())]).toMatchObject([name, { status: 400, code: -1893 }]);
      const broken = await begin(`/${name}`, cut, 65_536);
      expect(await sendAll(`/${name}`, broken, cut)).toMatchObject({ status: 400, code: -1893 });
      expect(await download(name)).toBeUndefined();
      const session = await begin(`/sliced-${name}`, image, 65_536);
      expect(await sendAll(`/sliced-${name}`, session, image)).toMatchObject(stored(`sliced-${name}`, width, height));
      expect(await upload("v2", name, image, uploadToken())).toMatchObject(stored(name, width, height));
      expect(await upload("v1", `v1-${name}`, image, v1(`v1-${name}`))).toMatchObject({ status: 200, code: 0 });
      expect(await announce(`/known-${name}`, image)).toMatchObject(stored(`known-${name}`, width, height));
      const host = `photos-${APPID}.localhost`;
      for (const stem of ["", "sliced-", "v1-", "known-"]) {
        const { status, body, headers } = await get({ port: program.downloadPort, host, path: `/${stem}${name}` });
        expect([status, body.equals(image), headers["content-type"]]).toEqual([200, true, type]);
        if (name === "b.svg") expect(headers["content-security-policy"]).toContain("sandbox");
      }
      for (const query of ["imageView2/2/w/10", "imageInfo"]) {
        const { status, headers } = await get({ port: program.downloadPort, host, path: `/${name}?${query}` });
        expect([name, status, headers["x-errno"]]).toEqual([name, 400, "-441"]);
      }
    }
  });

  test("lose against an earlier upload of the same fileid", async () => {
    const image = await noisyJpeg(120, 110);
    const session = await begin("/taken.jpg", image, 16_384);
    const form = makeForm([{ name: "FileContent", content: small }]);
    expect(await callApi({ port: program.downloadPort, path: "/taken.jpg", form, sign: uploadToken() })).toMatchObject({
      code: 0,
    });
    expect(await sendAll("/taken.jpg", session, image, { size: 16_384 })).toMatchObject({ status: 400, code: -1886 });
    expect((await download("taken.jpg"))?.equals(small)).toBe(true);
  });

  test("in progress are bounded for each project, without effect on other projects", async () => {
    const open = (index: number) =>
      packet(`/many-${index}.jpg`, {
        op: "upload_slice",
        sha: createHash("sha1").update(String(index)).digest("hex"),
        filesize: "99999",
      });
    const answers: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const some = await Promise.all(Array.from({ length: 100 }, (_, index) => open(round * 100 + index)));
      answers.push(...some.map(({ code }) => code));
    }
    expect(new Set(answers)).toEqual(new Set([0, -2000]));
    expect(answers.filter((code) => code === 0).length).toBeLessThanOrEqual(256);
  });
});
