// The REST API as a target, with answers that no Huiyuan gives.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createRestTarget } from "../../../../../src/operate/migrations/targets/rest.ts";
import { infoOf, wholeBody } from "../../../../helpers/whole-body.ts";

const BODY = wholeBody(Buffer.from("some bytes"));
const REQUEST = { info: infoOf("a.jpg", BODY, "migration"), body: BODY, replace: "none" } as const;
const SIGNAL = new AbortController().signal;
let server: Server | undefined;
afterEach(() => server?.close());

/** A service that refuses each upload with the code, and answers a stat with the MD5. */
async function targetOf(code: number, file_md5: string) {
  server = createServer((request, answer) => {
    request.resume();
    const facts = { file_fileid: "a.jpg", file_url: "http://h/a.jpg", file_upload_time: 1, file_size: BODY.size };
    const data = { ...facts, file_md5, photo_width: 1, photo_height: 1 };
    const isStat = request.method === "GET";
    answer.statusCode = isStat ? 200 : 400;
    answer.end(JSON.stringify(isStat ? { code: 0, message: "", data } : { code, message: "refused" }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return createRestTarget({ endpoint, appid: "1", bucket: "b", secretId: "i", secretKey: "k", timeoutMs: 5_000 });
}

test.each([
  ["in capital letters", BODY.hashes.md5?.toUpperCase() ?? "", "same"],
  ["of other bytes", "0".repeat(32), "differs"],
  ["that says nothing", "", "differs"],
])("put() of a taken name compares an MD5 %s", async (_what, md5, outcome) => {
  const target = await targetOf(-1886, md5);
  expect(await target.put({ ...REQUEST, signal: SIGNAL })).toBe(outcome);
});

test.each([-64, -79, -82, -97, -1894])("put() that is refused with %i throws settings_invalid", async (code) => {
  const putting = (await targetOf(code, "")).put({ ...REQUEST, signal: SIGNAL });
  await expect(putting).rejects.toMatchObject({ code: "settings_invalid" });
});
