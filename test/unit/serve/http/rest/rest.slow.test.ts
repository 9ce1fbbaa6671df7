// The REST API in this process: body deadlines, limits, and thousands of hostile requests.
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createSemaphore } from "../../../../../src/async/semaphore.ts";
import { ERROR_CODES, restError } from "../../../../../src/core/errors.ts";
import { toKey } from "../../../../../src/core/object.ts";
import { noisyJpeg } from "../../../../helpers/images.ts";
import { type PhotosLab, photosLab } from "../../../../helpers/photos-lab.ts";
import { eventually } from "../../../../helpers/program.ts";
import {
  callApi,
  callRaw,
  fileForm,
  type MadeForm,
  makeForm,
  onceToken,
  uploadToken,
} from "../../../../helpers/rest-api.ts";
import { APPID } from "../../../../helpers/settings.ts";

const BASE = `/photos/v2/${APPID}/photos/0`;

let jpeg: Buffer;

beforeAll(async () => {
  jpeg = await noisyJpeg(64, 48);
});

function headOf(fileid: string, { contentType, body }: MadeForm, more: readonly string[] = []): string {
  const lines = [
    `POST ${BASE}/${fileid} HTTP/1.1`,
    "Host: web.image.myqcloud.com",
    `Authorization: ${uploadToken(fileid)}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${body.byteLength}`,
    ...more,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

async function settled({ pool, uploads }: PhotosLab): Promise<void> {
  await eventually(() => pool.usage.spools === 0 && uploads.running === 0, "no spool and no upload slot is held");
  expect(pool.usage).toEqual({ spools: 0, bytes: 0 });
}

describe("bodies", () => {
  test.each([
    ["sends no further byte", { idleMs: 100, totalMs: 60_000 }],
    ["has not ended in time", { idleMs: 60_000, totalMs: 100 }],
  ])("that are too slow are aborted with a code: one that %s", async (_, patience) => {
    const lab = await photosLab({ patience });
    const form = fileForm(jpeg);
    const answer = await callRaw(lab.port, [headOf("late.jpg", form), form.body.subarray(0, 500)]);
    expect(answer).toMatchObject({ status: 400, code: -5989, data: {} });
    expect((await lab.bucket.stored.bucket.lookup(toKey("late.jpg"))).state).toBe("absent");
    await settled(lab);
  });

  test("go to disk beyond the memory limit, and leave no spool file", async () => {
    const lab = await photosLab();
    const image = Buffer.concat([jpeg, Buffer.alloc(4_000_000, 7)]);
    const send = (index: number) =>
      callApi({ port: lab.port, path: `/${index}.jpg`, form: fileForm(image), sign: uploadToken() });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => send(index)));
    expect(answers.map(({ code }) => code)).toEqual(Array(8).fill(0));
    await settled(lab);
    await eventually(() => lab.pool.files().length === 0, "no spool file is left");
  });

  test("beyond the upload limit are refused as overloaded", async () => {
    const lab = await photosLab({ uploads: createSemaphore(1) });
    const form = fileForm(jpeg);
    const half = form.body.subarray(0, 500);
    const first = callRaw(lab.port, [headOf("first.jpg", form, ["Expect: 100-continue"]), { when: "100", send: half }]);
    await eventually(() => lab.pool.usage.spools === 1, "the first upload is running");
    const second = await callApi({ port: lab.port, path: "/second.jpg", form, sign: uploadToken() });
    expect(second).toMatchObject({ status: 400, code: -2000 });
    first.catch(() => undefined);
  });
});

describe("hostile input", () => {
  const KNOWN = new Set([0, ...ERROR_CODES.map((code) => restError(code).code)]);
  /** The code of internal errors. No request of these tests is late or meets a full disk, so it must not occur. */
  const INTERNAL = -5989;

  function check(lab: PhotosLab, { status, code, data }: { status: number; code: number; data: object }): void {
    expect([...KNOWN].filter((known) => known !== INTERNAL)).toContain(code);
    expect(status).toBe(code === 0 ? 200 : 400);
    expect(typeof data).toBe("object");
    expect(lab.faults).toEqual([]);
  }

  const piece = fc.oneof(
    fc.constantFrom(
      "/",
      "//",
      "%2F",
      "%2f",
      "+",
      "%20",
      "%",
      "%zz",
      "%00",
      "..",
      "/../",
      ".",
      "/copy",
      "/del",
      "?",
      "&",
    ),
    fc.constantFrom(
      "?sign=",
      "&sign=",
      "=",
      "%e7%85%a7",
      "%ff",
      "\x80",
      "\xff",
      "a",
      "~",
      "'",
      '"',
      "<",
      "#",
      "photos",
    ),
    fc.string({ maxLength: 5 }),
  );
  // The HTTP parser refuses other bytes before there is a request.
  const path = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("").replace(/[^\x21-\x7e]/g, ""));

  test("as path and query gets a known code", { timeout: 60_000 }, async () => {
    const lab = await photosLab();
    await fc.assert(
      fc.asyncProperty(path, fc.constantFrom("GET", "POST", "PUT", "DELETE"), async (rest, method) => {
        const request = `${method} ${BASE}${rest} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;
        check(lab, await callRaw(lab.port, [request]));
      }),
      { numRuns: 400 },
    );
  });

  test("as a signature gets a known code", { timeout: 60_000 }, async () => {
    const lab = await photosLab();
    const good = onceToken("a.jpg");
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.constantFrom("A", "=", "+", "/", "-", "%", " ", "z", ""))
      .map(([at, character]) => good.slice(0, at) + character + good.slice(at + 1));
    const plain = fc
      .string({ maxLength: 200 })
      .map((text) => Buffer.from(`${"m".repeat(20)}${text}`).toString("base64"));
    const token = fc.oneof(mutated, plain, fc.base64String(), fc.string({ maxLength: 60 }));
    await fc.assert(
      fc.asyncProperty(
        token,
        fc.constantFrom("QCloud ", "qcloud", "", "Bearer "),
        fc.boolean(),
        async (sign, scheme, inQuery) => {
          const text = `${scheme}${sign}`.replace(/[^\x20-\x7e]/g, "");
          const query = inQuery ? `?sign=${text.replace(/[ #]/g, "")}` : "";
          const header = inQuery ? "" : `Authorization: ${text}\r\n`;
          const request = `POST ${BASE}/a.jpg/del${query} HTTP/1.1\r\nHost: x\r\n${header}Content-Length: 0\r\n\r\n`;
          const answer = await callRaw(lab.port, [request]);
          check(lab, answer);
          expect(answer.code).not.toBe(0);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("as a form gets a known code, and nothing stays held", { timeout: 120_000 }, async () => {
    const lab = await photosLab();
    const word = fc.constantFrom(
      ...["op", "FileContent", "session", "offset", "sha", "filesize", "slice_size", "Md5", "MagicContext", "x", ""],
    );
    const value = fc.oneof(
      fc.constantFrom("upload_slice", "0", "1", "-1", "99999", "524288", "a".repeat(40), "20971521", "9".repeat(30)),
      fc.string({ maxLength: 30 }),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    const headers = fc.array(
      fc.constantFrom(
        "Content-Type: text/plain; charset=nonsense",
        "Content-Transfer-Encoding: base64",
        "X",
        ": y",
        "Z: \x00",
      ),
      { maxLength: 2 },
    );
    const parts = fc.array(
      fc.record({
        name: word,
        content: value,
        headers,
        filename: fc.option(fc.string({ maxLength: 9 }), { nil: undefined }),
      }),
      { maxLength: 6 },
    );
    const damage = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom("cut", "\r\n", "--", "\0")),
      {
        maxLength: 2,
      },
    );
    await fc.assert(
      fc.asyncProperty(parts, damage, fc.constantFrom("/f.jpg", "", "/f/copy", "/f/del"), async (list, faults, end) => {
        const made = makeForm(
          list.map(({ filename, ...part }) => ({ ...part, ...(filename !== undefined && { filename }) })),
        );
        let { body } = made;
        for (const [where, what] of faults) {
          const at = Math.floor(where * body.byteLength);
          body =
            what === "cut"
              ? body.subarray(0, at)
              : Buffer.concat([body.subarray(0, at), Buffer.from(what), body.subarray(at)]);
        }
        const answer = await callApi({ port: lab.port, path: end, form: { ...made, body }, sign: uploadToken() });
        check(lab, answer);
      }),
      { numRuns: 600 },
    );
    await settled(lab);
    expect(lab.slices.running).toBeLessThanOrEqual(256);
  });

  test("as bytes after the head of an upload gets a known code", {
    timeout: 60_000,
  }, async () => {
    const lab = await photosLab();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), fc.string({ maxLength: 80 }), async (bytes, boundary) => {
        const body = Buffer.from(bytes);
        const contentType = `multipart/form-data; boundary=${boundary.replace(/[^\x20-\x7e]/g, "")}`;
        const answer = await callRaw(lab.port, [headOf("g.jpg", { contentType, body }), body]);
        check(lab, answer);
        expect(answer.code).not.toBe(0);
      }),
      { numRuns: 300 },
    );
    await settled(lab);
  });
});
