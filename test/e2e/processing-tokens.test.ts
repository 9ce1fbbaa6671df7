// Access to processed images: tokens that cover variants, protected originals, image watermarks of the same bucket, and
// styles that are rendered on upload.
import { hash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GetOptions, type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { changeObjects, metric, sizeOf } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { b64, colourAt, difference, RED, solid, WHITE } from "../helpers/rendering.ts";
import { callApi, fileForm, tokenFor, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { APPID, KEYS, mirrorOf } from "../helpers/settings.ts";
import { keysIn } from "../helpers/stored-keys.ts";

const ALIASES = { small: "imageView2/2/w/200/h/200", 小图: "imageView2/2/w/100" };
const MARKED = `watermark/1/image/${b64("http://open.example/marks/own.png")}/gravity/center/dissolve/100`;

let jpeg: Buffer;
let white: Buffer;
let red: Buffer;
const pictures = new Map<string, Buffer | "none">();
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

const requestsFor = (target: string) => origin.requests.filter((request) => request.target === target).length;
const statusOf = ({ status, headers }: GetResult) => [status, headers["x-errno"]];
const token = (bucket: string, fileid = "") => encodeURIComponent(tokenFor({ bucket, fileid, life: 600 }));
const ask = (bucket: string, path: string, more: Partial<GetOptions> = {}) =>
  get({ port: program.downloadPort, host: `${bucket}.example`, path, ...more });

beforeAll(async () => {
  jpeg = await noisyJpeg(1200, 900);
  white = await solid(400, 300, WHITE).png().toBuffer();
  red = await solid(100, 60, RED).png().toBuffer();
  pictures
    .set("/white.png", white)
    .set("/marks/own.png", red)
    .set("/marks/other.png", red)
    .set("/marks/once.png", red)
    .set("/none.png", "none");
  origin = await startScriptedOrigin((request, connection) => {
    const picture = pictures.get(request.target) ?? jpeg;
    return connection.send(picture === "none" ? response("", { status: "404 Not Found" }) : response(picture));
  });
  const bucket = (name: string, more: object) => ({
    ...{ name, aliases: ALIASES, domains: [{ host: `${name}.example`, mirror: mirrorOf(origin.url) }] },
    ...more,
  });
  const styles = { cover: "imageView2/1/w/64/h/48", both: "imageView2/2/w/50/format/webp" };
  installation = await install({
    projects: [
      {
        appid: APPID,
        keys: [KEYS[0]],
        buckets: [
          bucket("open", { aliases: { ...ALIASES, marked: MARKED } }),
          bucket("signed", { token: "required" }),
          bucket("once", { token: "required", oneTimeDownloads: "once" }),
          bucket("guarded", { originalProtection: true }),
          bucket("closed", {
            originalProtection: true,
            processing: "aliases",
            aliases: { "exif-small": "imageView2/2/w/200" },
          }),
          bucket("plain", { styles, grammarEra: "later", domains: [{ host: "plain.example" }] }),
        ],
      },
    ],
  });
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await origin?.close();
  await installation?.remove();
});

test("processing: aliases serves an alias in the query of a protected bucket, though its name begins as an operation", async () => {
  expect((await ask("closed", "/a.jpg?exif-small")).status).toBe(200);
  expect(statusOf(await ask("closed", "/a.jpg?exif"))).toEqual([403, "-154"]);
  expect(statusOf(await ask("closed", "/a.jpg?imageView2/2/w/200"))).toEqual([403, "-154"]);
});

describe("a token", () => {
  test("that is bound to an image covers its variants, by alias and by instruction, and no other image's", async () => {
    const sign = token("signed", "a.jpg");
    for (const path of ["/a.jpg", "/a.jpg!small", "/a.jpg?imageView2/2/w/200", "/a.jpg?imageInfo"]) {
      const joint = path.includes("?") ? "&" : "?";
      const answer = await ask("signed", `${path}${joint}sign=${sign}`);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers["cache-control"]).toMatch(/^private, max-age=\d+$/);
    }
    expect(statusOf(await ask("signed", `/b.jpg!small?sign=${sign}`))).toEqual([403, "-46618"]);
    expect(statusOf(await ask("signed", `/b.jpg?imageView2/2/w/200&sign=${sign}`))).toEqual([403, "-46618"]);
    expect(statusOf(await ask("signed", "/a.jpg!small"))).toEqual([403, "-46618"]);
    expect(statusOf(await ask("signed", "/a.jpg?imageView2/2/w/200"))).toEqual([403, "-46618"]);
    // The same holds for a response from memory.
    expect((await ask("signed", `/a.jpg?sign=${sign}&imageView2/2/w/200`)).status).toBe(200);
    expect(statusOf(await ask("signed", "/a.jpg?imageView2/2/w/200"))).toEqual([403, "-46618"]);
  });

  test("for an image does not open an object that has the name of its alias", async () => {
    // The token names the whole name; while no such object exists, the name means the alias.
    const path = "/real.jpg!small";
    pictures.set(path, red);
    const form = fileForm(red);
    const uploaded = await upload("signed", "real.jpg!small", form);
    expect(uploaded.code).toBe(0);
    const byName = await ask("signed", `${path}?sign=${token("signed", "real.jpg!small")}`);
    expect(byName.body.equals(red)).toBe(true);
    const byOriginal = await ask("signed", `${path}?sign=${token("signed", "real.jpg")}`);
    expect([byOriginal.status, await sizeOf(byOriginal.body)]).toEqual([200, ["jpeg", 200, 150]]);
    const byAny = await ask("signed", `${path}?sign=${token("signed")}`);
    expect(byAny.body.equals(red)).toBe(true);
  });

  test("for one use is spent by a processed image as by any other", async () => {
    const sign = encodeURIComponent(tokenFor({ bucket: "once", fileid: "a.jpg" }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask("once", `/a.jpg!small?sign=${sign}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(403)]);
    expect(answers.find(({ status }) => status === 200)?.headers["cache-control"]).toBe("no-store");
  });

  test("for one use is spent by the watermark that it opens, as by the image itself", async () => {
    const page = token("once", "paper.jpg");
    let quality = 50;
    // A different picture each time, which no cache has.
    const marked = (sign: string) => {
      const url = `http://once.example/marks/once.png?sign=${sign}`;
      quality += 1;
      return ask("once", `/paper.jpg?watermark/1/image/${b64(url)}|imageMogr2/quality/${quality}&sign=${page}`);
    };
    const sign = encodeURIComponent(tokenFor({ bucket: "once", fileid: "marks/once.png" }));
    const answers = await Promise.all(Array.from({ length: 8 }, () => marked(sign)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(403)]);
    expect(answers.find(({ status }) => status === 200)?.headers["cache-control"]).toBe("no-store");
    expect(statusOf(await marked(sign))).toEqual([403, "-77"]);
    expect(statusOf(await ask("once", `/marks/once.png?sign=${sign}`))).toEqual([403, "-77"]);
  });

  test("for one use opens two watermarks of one image", async () => {
    const sign = encodeURIComponent(tokenFor({ bucket: "once", fileid: "marks/once.png" }));
    const mark = (query: string) =>
      `watermark/1/image/${b64(`http://once.example/marks/once.png?${query}sign=${sign}`)}`;
    const both = `${mark("")}/gravity/north|${mark("x=1&")}/gravity/south`;
    const answers = [1, 2].map(async () => ask("once", `/paper.jpg?${both}&sign=${token("once", "paper.jpg")}`));
    expect((await Promise.all(answers)).map(({ status }) => status).sort()).toEqual([200, 403]);
  });

  test("of a watermark limits the lifetime of variants with it", async () => {
    const brief = encodeURIComponent(tokenFor({ bucket: "signed", fileid: "marks/once.png", life: 60 }));
    const url = `http://signed.example/marks/once.png?sign=${brief}`;
    const answer = await ask("signed", `/paper.jpg?watermark/1/image/${b64(url)}&sign=${token("signed", "paper.jpg")}`);
    expect(answer.status).toBe(200);
    expect(Number(/^private, max-age=(\d+)$/.exec(String(answer.headers["cache-control"]))?.[1])).toBeLessThanOrEqual(
      60,
    );
  });
});

describe("original protection", () => {
  test.each([
    ["/a.jpg", 403, "-154"],
    ["/a.jpg?imageView2/2/w/9000", 403, "-154"],
    ["/a.jpg?imageInfo", 403, "-154"],
    ["/a.jpg?v=1", 403, "-154"],
    ["/a.jpg!none", 403, "-154"],
    ["/none.png!small", 404, "-6101"],
    ["/a.jpg!small?imageView2/2/w/9", 403, "-154"],
  ])("%s is %i", async (path, status, errNo) => {
    expect(statusOf(await ask("guarded", path))).toEqual([status, errNo]);
  });

  test("aliases are served, on a miss and from memory", async () => {
    for (let time = 0; time < 3; time += 1) {
      expect(await sizeOf((await ask("guarded", "/b.jpg!small")).body)).toEqual(["jpeg", 200, 150]);
    }
    expect(requestsFor("/b.jpg!small")).toBe(0);
  });

  test("an original is served to a signed URL that names it", async () => {
    const sign = token("guarded", "o.jpg");
    const signed = await ask("guarded", `/o.jpg?ci-process=originImage&sign=${sign}`);
    expect([signed.status, signed.body.equals(jpeg)]).toEqual([200, true]);
    expect(signed.headers["cache-control"]).toMatch(/^private, max-age=\d+$/);
    for (const [query, errNo] of [
      ["ci-process=originImage", "-46618"],
      [`ci-process=originImage&sign=${token("guarded", "p.jpg")}`, "-46618"],
      [`ci-process=originImage&imageView2/2/w/9000&sign=${sign}`, "-154"],
      [`sign=${sign}`, "-154"],
    ] as const) {
      expect([query, ...statusOf(await ask("guarded", `/o.jpg?${query}`))]).toEqual([query, 403, errNo]);
    }
  });

  test("an alias may be the whole query", async () => {
    expect(await sizeOf((await ask("guarded", "/q.jpg?small")).body)).toEqual(["jpeg", 200, 150]);
    expect(await sizeOf((await ask("guarded", `/q.jpg?small&sign=${token("guarded", "q.jpg")}`)).body)).toEqual([
      ...["jpeg", 200, 150],
    ]);
    expect(statusOf(await ask("guarded", "/q.jpg?smaller"))).toEqual([403, "-154"]);
    expect(await sizeOf((await ask("guarded", "/q.jpg?%E5%B0%8F%E5%9B%BE")).body)).toEqual(["jpeg", 100, 75]);
    expect(await sizeOf((await ask("guarded", "/q.jpg?%73mall")).body)).toEqual(["jpeg", 200, 150]);
    expect(statusOf(await ask("guarded", "/q.jpg?%E5%B0"))).toEqual([403, "-154"]);
    // In other buckets it is an unknown query.
    expect((await ask("open", "/q.jpg?small")).body.equals(jpeg)).toBe(true);
  });

  test("an object that has the name of an original with its alias is protected as well", async () => {
    await upload("guarded", "c.jpg!small", fileForm(red));
    expect(await sizeOf((await ask("guarded", "/c.jpg!small")).body)).toEqual(["jpeg", 200, 150]);
  });
});

describe("a bucket without a mirror", () => {
  test("answers an unknown style with -105 if the image exists, and with -6101 if it does not", async () => {
    await upload("plain", "a.jpg", fileForm(jpeg));
    expect(statusOf(await ask("plain", "/a.jpg!none"))).toEqual([400, "-105"]);
    expect(statusOf(await ask("plain", "/b.jpg!none"))).toEqual([404, "-6101"]);
    expect(statusOf(await ask("plain", "/b.jpg!cover"))).toEqual([404, "-6101"]);
    expect(statusOf(await ask("plain", "/b.jpg?imageView2/2/w/9"))).toEqual([404, "-6101"]);
    expect(await sizeOf((await ask("plain", "/a.jpg!small")).body)).toEqual(["jpeg", 200, 150]);
  });

  test("processes the image that has replaced a deleted one", async () => {
    await upload("plain", "again.jpg", fileForm(jpeg));
    const before = await ask("plain", "/again.jpg!small");
    expect(await sizeOf(before.body)).toEqual(["jpeg", 200, 150]);
    await changeObjects(program.adminPort, "delete", { names: ["again.jpg"], bucket: `${APPID}/plain` });
    expect(statusOf(await ask("plain", "/again.jpg!small"))).toEqual([404, "-6101"]);
    expect((await upload("plain", "again.jpg", fileForm(await noisyJpeg(300, 600)))).code).toBe(0);
    const after = await ask("plain", "/again.jpg!small");
    expect([await sizeOf(after.body), after.headers.etag === before.headers.etag]).toEqual([["jpeg", 100, 200], false]);
  });

  test("parses instructions by the manual that grammarEra names", async () => {
    const tiny = "/a.jpg?imageMogr2/crop/5x5";
    expect(await sizeOf((await ask("plain", tiny)).body)).toEqual(["jpeg", 5, 5]);
    expect(statusOf(await ask("open", tiny))).toEqual([400, "-106"]);
  });

  test("renders styles when an image is uploaded, before any request", async () => {
    const bucketId = `variants/${APPID}/plain`;
    const image = await noisyJpeg(640, 480);
    await upload("plain", "styled.jpg", fileForm(image));
    const ahead = () => keysIn(installation.data, bucketId).filter((key) => key.startsWith(hash("sha256", image)));
    await eventually(() => ahead().length === 2, "both styles are stored");
    const before = await metric(program.adminPort, "huiyuan_render_seconds_count");
    const [cover, both] = [await ask("plain", "/styled.jpg!cover"), await ask("plain", "/styled.jpg!both")];
    expect([await sizeOf(cover.body), await sizeOf(both.body)]).toEqual([
      ["jpeg", 64, 48],
      ["webp", 50, 38],
    ]);
    expect(cover.headers["cache-status"]).toMatch(/^huiyuan; hit; detail=(spool|memory|bucket)$/);
    expect(await metric(program.adminPort, "huiyuan_render_seconds_count")).toBe(before);
  });
});

describe("an image watermark", () => {
  const marked = (url: string) => `watermark/1/image/${b64(url)}/gravity/center/dissolve/100`;

  test("is fetched like an original if the bucket lacks it, and applied", async () => {
    const answer = await ask("open", "/white.png!marked");
    expect(answer.status).toBe(200);
    expect(difference(await colourAt(answer.body, 0.5, 0.5), RED)).toBeLessThan(8);
    expect(difference(await colourAt(answer.body, 0.05, 0.05), WHITE)).toBeLessThan(8);
    await eventually(
      () => keysIn(installation.data, `${APPID}/open`).includes("marks/own.png"),
      "the watermark is stored",
    );
    expect((await ask("open", "/white.png!marked")).headers.etag).toBe(answer.headers.etag);
    expect([requestsFor("/marks/own.png"), requestsFor("/white.png")]).toEqual([1, 1]);
  });

  test("makes another variant once it is replaced, and none once it is deleted", async () => {
    const names = ["marks/other.png"];
    const bucket = `${APPID}/open`;
    const query = marked("http://open.example/marks/other.png");
    const before = await ask("open", `/white.png?${query}`);
    expect(difference(await colourAt(before.body, 0.5, 0.5), RED)).toBeLessThan(8);
    await eventually(() => keysIn(installation.data, bucket).includes("marks/other.png"), "the watermark is stored");
    pictures.set("/marks/other.png", white);
    await changeObjects(program.adminPort, "purge", { names, bucket, hard: true });
    const after = await ask("open", `/white.png?${query}`);
    expect(difference(await colourAt(after.body, 0.5, 0.5), WHITE)).toBeLessThan(8);
    await changeObjects(program.adminPort, "delete", { names, bucket });
    expect(statusOf(await ask("open", `/white.png?${query}`))).toEqual([400, "-106"]);
  });

  test.each([
    ["of another bucket", "http://guarded.example/marks/own.png"],
    ["of an unknown host", "http://elsewhere.test/marks/own.png"],
    ["of this machine", "http://127.0.0.1:1/marks/own.png"],
    ["of a metadata service", "http://169.254.169.254/latest/meta-data"],
    ["that is missing", "http://open.example/none.png"],
    ["with an instruction", "http://open.example/marks/own.png?imageView2/2/w/9"],
    ["that is a file", "file:///etc/passwd"],
    ["that is no URL", "marks/own.png"],
    ["that climbs", "http://open.example/../marks/own.png"],
    ["that breaks a line", "http://open.example/\r\nHost: x"],
  ])("%s is refused with the parameter's name, and never dialled", async (_, url) => {
    const before = origin.requests.length;
    const answer = await ask("open", `/white.png?${marked(url)}`);
    expect(statusOf(answer)).toEqual([400, "-106"]);
    expect(answer.body.toString()).toContain("watermark/image, wanted ");
    expect(origin.requests.length - before).toBe(url.endsWith("none.png") ? 1 : 0);
  });

  test("needs a token, the request's or one of its own, because a token of one image would otherwise show any other", async () => {
    const sign = token("signed", "white.png");
    const url = "http://signed.example/marks/own.png";
    const withSign = (mark: string) => `/white.png?${marked(mark)}&sign=${sign}`;
    expect(statusOf(await ask("signed", withSign(url)))).toEqual([403, "-46618"]);
    expect(requestsFor("/marks/own.png")).toBe(1);
    const own = token("signed", "marks/own.png");
    expect((await ask("signed", withSign(`${url}?sign=${own}`))).status).toBe(200);
    // The same holds once it is in memory.
    expect(statusOf(await ask("signed", withSign(url)))).toEqual([403, "-46618"]);
    expect((await ask("signed", `/white.png?${marked(url)}&sign=${token("signed")}`)).status).toBe(200);
  });
});

function upload(bucket: string, fileid: string, form: ReturnType<typeof fileForm>) {
  const target = `/photos/v2/${APPID}/${bucket}/0/${encodeURIComponent(fileid)}`;
  return callApi({ port: program.downloadPort, target, sign: uploadToken(fileid, bucket), form });
}
