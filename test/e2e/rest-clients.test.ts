// Requests of browsers and of the SDKs for Python 2 and 3, PHP, Java and Go, byte for byte.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Installation, install, type Program } from "../helpers/program.ts";
import {
  callApi,
  callRaw,
  fileForm,
  makeForm,
  onceToken,
  type RawResult,
  tokenFor,
  uploadToken,
} from "../helpers/rest-api.ts";
import { APPID, oneBucket } from "../helpers/settings.ts";

const BASE = `/photos/v2/${APPID}/photos/0`;
const HOST = "Host: web.image.myqcloud.com";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let jpeg: Buffer;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(160, 120);
  installation = await install(oneBucket(undefined));
  program = await installation.start();
});
afterAll(async () => {
  await program?.stop();
  await installation?.remove();
});

const send = (lines: readonly string[], body: Buffer = Buffer.alloc(0)): Promise<RawResult> =>
  callRaw(program.downloadPort, [`${lines.join("\r\n")}\r\n\r\n`, body]);

const download = (fileid: string) =>
  get({ port: program.downloadPort, host: `photos-${APPID}.localhost`, path: pathOf(fileid) });

async function expectStored(fileid: string): Promise<void> {
  const { status, body } = await download(fileid);
  expect([fileid, status, body.equals(jpeg)]).toEqual([fileid, 200, true]);
}

const uploadedAs = (fileid: unknown) => ({
  status: 200,
  code: 0,
  message: "SUCCESS",
  data: {
    fileid,
    url: expect.any(String),
    download_url: expect.any(String),
    info: [{ "0": { width: 160, height: 120 } }],
  },
});

/** Parts written by hand: header lines as the client writes them. */
function body(boundary: string, ...parts: readonly (readonly [readonly string[], Buffer | string])[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(([head, content]) => [
      Buffer.from(`--${boundary}\r\n${head.join("\r\n")}\r\n\r\n`),
      Buffer.from(content as string),
      Buffer.from("\r\n"),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

describe("Python 2 (image-python-sdk 2.1.5) and the migration tool", () => {
  const boundary = "5dd6d0ac2a6b4a6b9d8b1d9d4b0f8f5e";

  test("upload with %2F and + in the path, no Content-Type of the file", async () => {
    const form = body(
      boundary,
      [['Content-Disposition: form-data; name="MagicContext"'], "context"],
      [['Content-Disposition: form-data; name="FileContent"; filename="a b.jpg"'], jpeg],
    );
    const answer = await send(
      [
        `POST ${BASE}/2015%2F07%2F17%2Fa+b%2Bc.jpg HTTP/1.1`,
        "Accept-Encoding: identity",
        `Content-Length: ${form.byteLength}`,
        HOST,
        `Content-Type: multipart/form-data; boundary=${boundary}`,
        "Connection: close",
        `Authorization: QCloud ${uploadToken("2015/07/17/a b+c.jpg")}`,
        "User-Agent: QcloudPYTHON/2.1.5 (Linux;)",
      ],
      form,
    );
    expect(answer).toMatchObject(uploadedAs("2015/07/17/a b+c.jpg"));
    await expectStored("2015/07/17/a b+c.jpg");
  });

  test("delete carries the signature bare", async () => {
    await callApi({ port: program.downloadPort, path: "/py2.jpg", form: fileForm(jpeg), sign: uploadToken("py2.jpg") });
    const answer = await send([
      `POST ${BASE}/py2.jpg/del HTTP/1.1`,
      "Accept-Encoding: identity",
      "Content-Length: 0",
      HOST,
      `Authorization: ${onceToken("py2.jpg")}`,
      "User-Agent: QcloudPYTHON/2.1.5 (Linux;)",
    ]);
    expect(answer).toMatchObject({ status: 200, code: 0, message: "SUCCESS", data: {} });
  });
});

describe("Python 3: fileids as they are, with literal slashes, + and %", () => {
  const upload = async (fileid: string) => {
    const form = body("b".repeat(32), [['Content-Disposition: form-data; name="FileContent"; filename="x"'], jpeg]);
    return send(
      [
        `POST ${BASE}/${fileid} HTTP/1.1`,
        HOST,
        `Content-Type: multipart/form-data; boundary=${"b".repeat(32)}`,
        `Content-Length: ${form.byteLength}`,
        `Authorization: QCloud ${uploadToken(fileid)}`,
        "User-Agent: QcloudPYTHON/2.1.5 (Linux;)",
      ],
      form,
    );
  };

  test.each(["2015/07/17/py3.jpg", "one+two.jpg", "50%.jpg", "100%25.jpg", "raw/copy", "raw/del", "tail/"])(
    "%s is uploaded, copied and deleted under its own name",
    async (fileid) => {
      expect(await upload(fileid)).toMatchObject(uploadedAs(fileid));
      await expectStored(fileid);
      const found = await send([
        `GET ${BASE}/${fileid} HTTP/1.1`,
        HOST,
        "Content-Length: 0",
        `Authorization: QCloud ${uploadToken(fileid)}`,
      ]);
      expect(found).toMatchObject({ code: 0, data: { file_fileid: fileid } });
      const copied = await send([
        `POST ${BASE}/${fileid}/copy HTTP/1.1`,
        HOST,
        "Content-Length: 0",
        `Authorization: QCloud ${onceToken(fileid)}`,
      ]);
      expect(copied).toMatchObject({ status: 200, code: 0 });
      await expectStored(String(copied.data.url).split("/").at(-1) ?? "");
      const deleted = await send([
        `POST ${BASE}/${fileid}/del HTTP/1.1`,
        HOST,
        "Content-Length: 0",
        `Authorization: ${onceToken(fileid)}`,
      ]);
      expect(deleted).toMatchObject({ status: 200, code: 0 });
      expect((await download(fileid)).status).toBe(404);
    },
  );
});

describe("PHP (image-php-sdk 2.0.1)", () => {
  const boundary = "----------------------------3b9f4b2a6d1c";

  test("uploads binary as a plain field, without a blank after Authorization:, and waits for 100", async () => {
    const form = body(boundary, [['content-disposition: form-data; name="FileContent"'], jpeg]);
    const head = [
      `POST ${BASE}/php+a.jpg HTTP/1.1`,
      "User-Agent: QcloudPHP/2.0.1 (Linux)",
      HOST,
      "Accept: */*",
      `Authorization:QCloud ${uploadToken("php a.jpg")}`,
      `Content-Length: ${form.byteLength}`,
      "Expect: 100-continue",
      `Content-Type: multipart/form-data; boundary=${boundary}`,
    ];
    const answer = await callRaw(program.downloadPort, [
      `${head.join("\r\n")}\r\n\r\n`,
      { when: "HTTP/1.1 100 Continue\r\n\r\n", send: form },
    ]);
    expect(answer).toMatchObject({ ...uploadedAs("php a.jpg"), before: "HTTP/1.1 100 Continue\r\n\r\n" });
  });

  test("gets a refusal at once, without a 100, if the signature is invalid", async () => {
    const head = [
      `POST ${BASE}/refused.jpg HTTP/1.1`,
      HOST,
      `Authorization:QCloud ${uploadToken("another.jpg")}`,
      "Content-Length: 1000000",
      "Expect: 100-continue",
      `Content-Type: multipart/form-data; boundary=${boundary}`,
    ];
    const answer = await send(head);
    expect(answer).toMatchObject({ status: 400, code: -70, before: "" });
    expect(answer.head).toMatch(/\r\nConnection: close\r\n/i);
  });

  test("copies and deletes with neither Content-Length nor Transfer-Encoding, and a header Method", async () => {
    await callApi({ port: program.downloadPort, path: "/php2.jpg", form: fileForm(jpeg), sign: uploadToken() });
    for (const operation of ["copy", "del"]) {
      const answer = await send([
        `POST ${BASE}/php2.jpg/${operation} HTTP/1.1`,
        "User-Agent: QcloudPHP/2.0.1 (Linux)",
        HOST,
        "Accept: */*",
        `Authorization: QCloud ${onceToken("php2.jpg")}`,
        "Method: POST",
      ]);
      expect(answer).toMatchObject({ status: 200, code: 0 });
    }
  });

  test("sends an absolute target through http_proxy, which overrides Host, and slices with an empty Expect", async () => {
    const form = makeForm([
      { name: "op", content: "upload_slice" },
      { name: "filesize", content: String(jpeg.byteLength) },
      { name: "sha", content: "0".repeat(40) },
      { name: "slice_size", content: "16384" },
    ]);
    const answer = await send(
      [
        `POST http://web.image.myqcloud.com${BASE}/php3.jpg HTTP/1.1`,
        "Method:POST",
        "Expect:",
        "Host: somebody.else.example",
        "Connection:Keep-Alive",
        `Authorization: ${uploadToken("php3.jpg")}`,
        `Content-Length: ${form.body.byteLength}`,
        `Content-Type: ${form.contentType}`,
      ],
      form.body,
    );
    expect(answer).toMatchObject({ status: 200, code: 0, data: { offset: 0, slice_size: 16_384 } });
  });
});

describe("Java (image-java-sdk 2.1.4)", () => {
  const boundary = "7Jtq2ZbkQxOaRlWq0Lk3pVd9sHf1eGu";

  test("uploads with a bare, unbound signature and a Content-Transfer-Encoding", async () => {
    const form = body(boundary, [
      [
        'Content-Disposition: form-data; name="fileContent"; filename="qcloud"',
        "Content-Type: application/octet-stream",
        "Content-Transfer-Encoding: binary",
      ],
      jpeg,
    ]);
    const answer = await send(
      [
        `POST ${BASE}/java%2Fa.jpg HTTP/1.1`,
        `Authorization: ${uploadToken()}`,
        "User-Agent: qcloud-java-sdk",
        `Content-Length: ${form.byteLength}`,
        `Content-Type: multipart/form-data; boundary=${boundary}`,
        HOST,
        "Connection: Keep-Alive",
      ],
      form,
    );
    expect(answer).toMatchObject(uploadedAs("java/a.jpg"));
  });

  test("copies and deletes with a multipart body of 37 bytes that only closes", async () => {
    const closing = Buffer.from(`\r\n--${boundary}--\r\n`).subarray(2);
    expect(closing.byteLength).toBe(37);
    for (const operation of ["copy", "del"]) {
      const answer = await send(
        [
          `POST ${BASE}/java%2Fa.jpg/${operation} HTTP/1.1`,
          `Authorization: ${onceToken("java/a.jpg")}`,
          "User-Agent: qcloud-java-sdk",
          "Content-Length: 37",
          `Content-Type: multipart/form-data; boundary=${boundary}`,
          HOST,
        ],
        closing,
      );
      expect(answer).toMatchObject({ status: 200, code: 0 });
      if (operation === "copy") expect(String(answer.data.url).split("/").at(-1)).toMatch(UUID);
    }
  });

  test("stats without a signature", async () => {
    await callApi({ port: program.downloadPort, path: "/java.jpg", form: fileForm(jpeg), sign: uploadToken() });
    const answer = await send([`GET ${BASE}/java.jpg HTTP/1.1`, "User-Agent: qcloud-java-sdk", HOST]);
    expect(answer).toMatchObject({
      code: 0,
      data: {
        file_fileid: "java.jpg",
        file_size: String(jpeg.byteLength),
        photo_width: "160",
        photo_height: "120",
        file_upload_time: expect.stringMatching(/^\d+$/),
        file_md5: expect.stringMatching(/^[0-9a-f]{32}$/),
      },
    });
  });
});

describe("Go (image-go-sdk 2.0.2)", () => {
  test("uploads without any filename, under a fixed boundary", async () => {
    const boundary = `${"-".repeat(25)}abcdefg1234567`;
    const form = body(boundary, [['Content-Disposition: form-data; name="FileContent"'], jpeg]);
    const answer = await send(
      [
        `POST ${BASE} HTTP/1.1`,
        HOST,
        "User-Agent: qcloud-go-sdk",
        `Content-Length: ${form.byteLength}`,
        `Authorization: QCloud ${uploadToken()}`,
        `Content-Type: multipart/form-data;boundary="${boundary}"`,
        "Accept-Encoding: gzip",
      ],
      form,
    );
    expect(answer).toMatchObject(uploadedAs(expect.stringMatching(UUID)));
    expect(answer.head).not.toMatch(/content-encoding|transfer-encoding/i);
  });
});

describe("Node, without its package", () => {
  test("copies and deletes with an empty chunked body", async () => {
    await callApi({ port: program.downloadPort, path: "/node.jpg", form: fileForm(jpeg), sign: uploadToken() });
    for (const operation of ["copy", "del"]) {
      const head = [
        `POST ${BASE}/node.jpg/${operation} HTTP/1.1`,
        `Authorization: QCloud ${onceToken("node.jpg")}`,
        HOST,
        "Transfer-Encoding: chunked",
      ];
      expect(await send(head, Buffer.from("0\r\n\r\n"))).toMatchObject({ status: 200, code: 0 });
    }
  });

  test("uploads in chunks", async () => {
    const form = fileForm(jpeg);
    const chunks = Buffer.concat([
      Buffer.from(`${form.body.byteLength.toString(16)}\r\n`),
      form.body,
      Buffer.from("\r\n0\r\n\r\n"),
    ]);
    const head = [
      `POST ${BASE}/chunked.jpg HTTP/1.1`,
      `Authorization: QCloud ${uploadToken("chunked.jpg")}`,
      HOST,
      "Transfer-Encoding: chunked",
      `Content-Type: ${form.contentType}`,
    ];
    expect(await send(head, chunks)).toMatchObject(uploadedAs("chunked.jpg"));
  });
});

describe("browsers", () => {
  test.each([
    ["escaped, as they should", encodeURIComponent],
    ["as it is", (sign: string) => sign],
    ["with blanks for pluses", (sign: string) => sign.replaceAll("+", "%20")],
  ])("send the signature in the query, %s", async (how, spell) => {
    const fileid = `browser ${how}.jpg`;
    const target = `${BASE}/${encodeURIComponent(fileid)}?analyze=fuzzy.food&sign=${spell(uploadToken(fileid))}`;
    expect(await callApi({ port: program.downloadPort, target, form: fileForm(jpeg) })).toMatchObject(
      uploadedAs(fileid),
    );
  });

  test("get an answer to a preflight, and may read the responses", async () => {
    const preflight = await get({
      port: program.downloadPort,
      method: "OPTIONS",
      path: `${BASE}/a.jpg`,
      headers: { Origin: "https://app.example", "Access-Control-Request-Method": "POST" },
    });
    expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([204, "*"]);
    expect(preflight.headers["access-control-allow-methods"]).toBe("GET, POST, OPTIONS");
    expect(preflight.headers["access-control-allow-headers"]).toBe("Authorization");
    const dropzone = await get({
      port: program.downloadPort,
      method: "OPTIONS",
      path: `${BASE}/a.jpg`,
      headers: {
        Origin: "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "cache-control,x-requested-with",
      },
    });
    expect(dropzone.headers["access-control-allow-headers"]).toBe("cache-control,x-requested-with");
    expect(preflight.headers["access-control-allow-credentials"]).toBeUndefined();
    const refused = await callApi({ port: program.downloadPort, path: "/a.jpg", form: fileForm(jpeg) });
    expect([refused.code, refused.headers["access-control-allow-origin"]]).toEqual([-81, "*"]);
  });
});

describe("paths", () => {
  const upload = (target: string, sign: string, host?: string) =>
    callApi({
      port: program.downloadPort,
      target,
      form: fileForm(jpeg),
      sign,
      ...(host === undefined ? {} : { host }),
    });

  test("V1 paths mean the project's first bucket, and their userid counts", async () => {
    const sign = tokenFor({ bucket: undefined, fileid: "v1.jpg", life: 600, userid: "42" });
    const answer = await upload(`/photos/v1/${APPID}/42/v1.jpg`, sign);
    expect(answer).toMatchObject(uploadedAs("v1.jpg"));
    expect(answer.data.url).toBe(`http://web.image.myqcloud.com/photos/v1/${APPID}/42/v1.jpg`);
    expect(await upload(`/photos/v1/${APPID}/43/v1b.jpg`, sign)).toMatchObject({ code: -70 });
    const remove = tokenFor({ bucket: undefined, fileid: "v1.jpg", userid: "42" });
    const target = `/photos/v1/${APPID}/42/v1.jpg/del`;
    expect(await callApi({ port: program.downloadPort, target, method: "POST", sign: remove })).toMatchObject({
      code: 0,
    });
  });

  test("V2 paths treat any userid as 0, and accept V1 tokens", async () => {
    const sign = tokenFor({ bucket: undefined, fileid: "user.jpg", life: 600, userid: "" });
    expect(await upload(`/photos/v2/${APPID}/photos/4711/user.jpg`, sign)).toMatchObject(uploadedAs("user.jpg"));
    const other = tokenFor({ fileid: "user2.jpg", life: 600, userid: "4711" });
    expect(await upload(`/photos/v2/${APPID}/photos/4711/user2.jpg`, other)).toMatchObject({ code: -70 });
  });

  test("a stat drops one trailing slash, unless an object has that name", async () => {
    const stat = async (path: string) => (await callApi({ port: program.downloadPort, path })).data.file_fileid;
    await upload(`${BASE}/slash.jpg`, uploadToken());
    expect(await stat("/slash.jpg/")).toBe("slash.jpg");
    await upload(`${BASE}/slash.jpg/`, uploadToken());
    expect(await stat("/slash.jpg/")).toBe("slash.jpg/");
    expect(await stat("/slash.jpg")).toBe("slash.jpg");
  });

  test("paths on download hosts are downloads; any other host, or none, belongs to the API", async () => {
    const target = `${BASE}/host.jpg`;
    const domain = await get({
      port: program.downloadPort,
      host: `photos-${APPID}.localhost`,
      path: target,
      method: "POST",
    });
    expect([domain.status, domain.headers["x-errno"]]).toEqual([405, "-103"]);
    for (const host of ["127.0.0.1:8080", "web.image.myqcloud.com", "localhost", "[::1]:80", "any.example."]) {
      expect(await callApi({ port: program.downloadPort, target, host })).toMatchObject({ status: 400, code: -197 });
    }
    const old = await callRaw(program.downloadPort, [`GET ${target} HTTP/1.0\r\n\r\n`]);
    expect(old).toMatchObject({ status: 400, code: -197 });
  });

  test("paths of images below /photos/ are downloads of the * domain", async () => {
    const answer = await get({ port: program.downloadPort, host: "any.example", path: "/photos/v3/a.jpg" });
    expect([answer.status, answer.headers["x-errno"]]).toEqual([404, "-6101"]);
  });
});
