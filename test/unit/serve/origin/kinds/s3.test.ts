import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { EMPTY_PAYLOAD, signS3Request } from "../../../../../src/core/sigv4.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../../../../src/serve/origin/kinds/http-origin.ts";
import { readS3Error, type S3Options, s3Rules } from "../../../../../src/serve/origin/kinds/s3.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import {
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { ask, codeOf, fetchWhole } from "../../../../helpers/site-under-test.ts";

const CREDENTIALS = { accessKeyId: "AKID", secretAccessKey: "verysecret" };
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const xml = (code: string) => `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`;

const createS3 = (options: S3Options & HttpOriginOptions) => createHttpOrigin(options, s3Rules(options));

let scripted: ScriptedOrigin;
let origin: Origin;

async function start(script: Script | { readonly inTurn: readonly Script[] }, options: Partial<S3Options> = {}) {
  scripted = await startScriptedOrigin({ "*": script });
  origin = createS3({ ...optionsAt(scripted.url), now: () => NOW, ...options });
}

afterEach(async () => {
  await origin?.close();
  await scripted?.close();
});

describe("createS3()", () => {
  test("requests a public bucket without keys, with prefix and key encoded as for a signature", async () => {
    await start([response("bytes")], { prefix: "old/" });
    await fetchWhole(origin, "图/a b+c!(1).jpg");
    expect(scripted.requests[0]?.target).toBe("/pictures/old/%E5%9B%BE/a%20b%2Bc%21%281%29.jpg");
    expect(scripted.requests[0]?.headers.authorization).toBeUndefined();
  });

  test("signs exactly the request that is sent", async () => {
    await start([response("bytes")], { ...CREDENTIALS, region: "cn-test-1" });
    const { answer } = await fetchWhole(origin, "//a~b%20.jpg");
    const expected = await signS3Request({
      method: "GET",
      url: `${scripted.url}/pictures///a~b%2520.jpg`,
      region: "cn-test-1",
      credentials: CREDENTIALS,
      payloadHash: EMPTY_PAYLOAD,
      now: NOW,
    });
    expect(scripted.requests[0]?.target).toBe("/pictures///a~b%2520.jpg");
    expect(scripted.requests[0]?.headers).toMatchObject(expected);
    expect(answer.url).toBe(`${scripted.url}/pictures///a~b%2520.jpg`);
    expect(origin.id).not.toMatch(/AKID|verysecret/);
  });

  test("gives the retry a new date", async () => {
    let time = NOW;
    await start({ inTurn: [["RST"], [response("bytes")]] }, { ...CREDENTIALS, now: () => (time += 1_000) });
    await fetchWhole(origin, "a.jpg");
    expect(scripted.requests.map(({ headers }) => headers["x-amz-date"])).toEqual([
      "20260102T030406Z",
      "20260102T030407Z",
    ]);
  });

  test.each([
    ["301 Moved Permanently", { "x-amz-bucket-region": "eu-west-1" }],
    ["307 Temporary Redirect", { Location: "http://pictures.s3.eu-west-1.amazonaws.com/a.jpg" }],
    ["302 Found", { Location: "/pictures/b.jpg" }],
  ])("refuses a redirect: %s %j", async (status, headers) => {
    await start([response(xml("PermanentRedirect"), { status, headers })], CREDENTIALS);
    expect(await codeOf(origin.fetch(ask("a.jpg")))).toBe("origin_redirect");
    expect(scripted.requests).toHaveLength(1);
  });

  test.each([
    ["NoSuchKey", "404 Not Found", "none"],
    ["NoSuchBucket", "404 Not Found", "origin_status"],
    ["AccessDenied", "403 Forbidden", "origin_status"],
    ["SignatureDoesNotMatch", "403 Forbidden", "origin_status"],
    ["SlowDown", "503 Slow Down", "origin_status"],
  ])("%s (%s) is %s, with GET and with HEAD", async (code, status, wanted) => {
    await start([response(xml(code), { status })], CREDENTIALS);
    expect(await codeOf(origin.fetch(ask("a.jpg")))).toBe(wanted);
    await scripted.close();
    // The response to a HEAD has no body.
    scripted = await startScriptedOrigin(({ method }, connection) => {
      const whole = response(xml(code), { status });
      return connection.send(method === "HEAD" ? whole.subarray(0, whole.indexOf("\r\n\r\n") + 4) : whole);
    });
    await origin.close();
    const { url: endpoint } = scripted;
    origin = createS3({ ...optionsAt(endpoint), ...CREDENTIALS });
    expect(await codeOf(origin.fetch(ask("a.jpg", { method: "HEAD" })))).toBe(wanted);
    expect(scripted.requests.map(({ method }) => method)).toEqual(
      status.startsWith("404") ? ["HEAD", "GET"] : ["HEAD"],
    );
  });

  test("a 404 whose body is truncated before the code is a failure", async () => {
    const cut = Buffer.from(xml("NoSuchBucket")).subarray(0, 30);
    const whole = response(cut, { status: "404 Not Found", headers: { "Content-Length": "900" } });
    await start([whole, "FIN"], CREDENTIALS);
    expect(await codeOf(origin.fetch(ask("a.jpg")))).toBe("origin_status");
  });

  test("an operator's own Authorization is never sent beside the signature", async () => {
    await start([response("bytes")], CREDENTIALS);
    await fetchWhole(origin, "a.jpg", { headers: { authorization: "Bearer other", "x-more": "yes" } });
    expect(scripted.requests[0]?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 [^,]+, [^,]+, Signature=[0-9a-f]{64}$/,
    );
    expect(scripted.requests[0]?.headers["x-more"]).toBe("yes");
  });

  test("never sends a query, which would be signed", async () => {
    await start([response("bytes")], CREDENTIALS);
    await fetchWhole(origin, "a.jpg", { query: "acl" });
    expect(scripted.requests[0]?.target).toBe("/pictures/a.jpg");
  });

  test("names the store's own code in the error", async () => {
    await start([response(xml("RequestTimeTooSkewed"), { status: "403 Forbidden" })], CREDENTIALS);
    await expect(origin.fetch(ask("a.jpg"))).rejects.toThrow(/403 \(RequestTimeTooSkewed\)/);
  });

  test.each([
    { what: "of a preset that says so", preset: "ceph", headers: {}, isTaken: true },
    { what: "under SSE-S3", preset: "ceph", headers: { "x-amz-server-side-encryption": "AES256" }, isTaken: true },
    { what: "under SSE-KMS", preset: "ceph", headers: { "x-amz-server-side-encryption": "aws:kms" }, isTaken: false },
    {
      what: "under SSE-C",
      preset: "ceph",
      headers: { "x-amz-server-side-encryption-customer-algorithm": "AES256" },
      isTaken: false,
    },
    { what: "of an unknown store", preset: undefined, headers: {}, isTaken: false },
    { what: "of a store whose ETag only looks like one", preset: "minio", headers: {}, isTaken: false },
  ] as const)("an ETag $what is a declared MD5: $isTaken", async ({ preset, headers, isTaken }) => {
    const md5 = createHash("md5").update("bytes").digest("hex");
    await start([response("bytes", { headers: { ETag: `"${md5}"`, ...headers } })], { preset });
    const { answer } = await fetchWhole(origin, "a.jpg");
    expect(answer.digests.md5?.toString("hex")).toBe(isTaken ? md5 : undefined);
  });

  test.each(['"0123456789abcdef0123456789abcdef-2"', 'W/"0123456789abcdef0123456789abcdef"', '"0123"'])(
    "the ETag %s is not a declared MD5",
    async (etag) => {
      await start([response("bytes", { headers: { ETag: etag } })], { preset: "ceph" });
      expect((await fetchWhole(origin, "a.jpg")).answer.digests).toEqual({});
    },
  );

  test.each<Partial<S3Options>>([
    { accessKeyId: "AKID" },
    { secretAccessKey: "verysecret" },
    { endpoint: "" },
    { endpoint: "http://example.com:22" },
  ])("refuses %j", async (options) => {
    expect(await codeOf(start([response("bytes")], options))).toBe("settings_invalid");
  });
});

test.each([
  [404, xml("NoSuchKey"), true, "NoSuchKey"],
  [404, "", true, undefined],
  [410, " \n", true, undefined],
  [404, xml("NoSuchBucket"), false, "NoSuchBucket"],
  [404, "<html>nginx</html>", false, undefined],
  [403, xml("AccessDenied"), false, "AccessDenied"],
  [403, "", false, undefined],
  [500, xml("NoSuchKey"), false, "NoSuchKey"],
  [400, xml("evil\ncode"), false, undefined],
  [404, undefined, false, "its body is truncated"],
])("readS3Error(%i, %j): absent %s, says %s", (status, body, isAbsent, says) => {
  expect(readS3Error(status, body)).toEqual({ isAbsent, detail: says });
});

function optionsAt(endpoint: string): S3Options & HttpOriginOptions {
  return {
    endpoint,
    bucket: "pictures",
    allowPrivate: true,
    connections: 4,
    timeouts: { connect: 3000, firstByte: 3000, idle: 3000, total: 5000 },
    userAgent: "Huiyuan/test",
    serverId: "test",
    log: SILENT_LOG,
  };
}
