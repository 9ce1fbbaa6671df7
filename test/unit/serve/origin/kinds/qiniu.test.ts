import { afterEach, describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../../../../src/core/log.ts";
import { createHttpOrigin, type HttpOriginOptions } from "../../../../../src/serve/origin/kinds/http-origin.ts";
import { type QiniuOptions, qiniuRules, signQiniuTarget } from "../../../../../src/serve/origin/kinds/qiniu.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { ask, codeOf, fetchWhole } from "../../../../helpers/site-under-test.ts";

const KEYS = { accessKey: "MY_ACCESS_KEY", secretKey: "MY_SECRET_KEY" };

describe("signQiniuTarget()", () => {
  test("returns the token of the documentation", () => {
    expect(signQiniuTarget("http://78re52.com1.z0.glb.clouddn.com", "/resource/flower.jpg", KEYS, 1_451_491_200)).toBe(
      "/resource/flower.jpg?e=1451491200&token=MY_ACCESS_KEY:438dd8pXocjYuF-6dTcKMtETB2g=",
    );
  });

  test("appends e to an existing query, and signs both", () => {
    const target = signQiniuTarget("http://h", "/a.jpg?imageView2/1/w/100", KEYS, 1);
    expect(target).toMatch(/^\/a\.jpg\?imageView2\/1\/w\/100&e=1&token=MY_ACCESS_KEY:[\w-]{27}=$/);
    expect(target.split("token=")[1]).not.toBe(signQiniuTarget("http://h", "/a.jpg", KEYS, 1).split("token=")[1]);
  });
});

const createQiniu = (options: QiniuOptions & HttpOriginOptions) => createHttpOrigin(options, qiniuRules(options));

describe("createQiniu()", () => {
  let scripted: ScriptedOrigin;
  let origin: Origin;
  const start = async (options: Partial<QiniuOptions>) => {
    scripted = await startScriptedOrigin({ "*": [response("bytes")] });
    origin = createQiniu({ ...optionsAt(scripted.url), now: () => 1_451_487_600_999, ...options });
  };
  afterEach(async () => {
    await origin?.close();
    await scripted?.close();
  });

  test("requests the plain path of a public bucket", async () => {
    await start({ referer: "http://www.example.com/" });
    expect((await fetchWhole(origin, "图/a b+c.jpg")).bytes.toString()).toBe("bytes");
    expect(scripted.requests[0]).toMatchObject({
      target: "/%E5%9B%BE/a%20b%2Bc.jpg",
      headers: { referer: "http://www.example.com/", host: `127.0.0.1:${scripted.port}` },
    });
  });

  test("signs for a private bucket, and never shows the token", async () => {
    await start({ private: true, ...KEYS });
    const { answer } = await fetchWhole(origin, "图.jpg");
    const target = signQiniuTarget(scripted.url, "/%E5%9B%BE.jpg", KEYS, 1_451_491_200);
    expect(scripted.requests[0]?.target).toBe(target);
    expect(answer.url).toBe(`${scripted.url}/%E5%9B%BE.jpg`);
    expect(origin.id).not.toMatch(/MY_/);
  });

  test("signs a forwarded query", async () => {
    await start({ private: true, ...KEYS });
    await fetchWhole(origin, "a.jpg", { query: "imageView2/1/w/100" });
    const target = signQiniuTarget(scripted.url, "/a.jpg?imageView2/1/w/100", KEYS, 1_451_491_200);
    expect(scripted.requests[0]?.target).toBe(target);
  });

  test("does not pass on a redirect that may repeat the token", async () => {
    await start({ private: true, ...KEYS });
    await scripted.close();
    const { port } = scripted;
    scripted = await startScriptedOrigin(({ target }, connection) =>
      connection.send(
        response("", { status: "302 Found", headers: { Location: `http://127.0.0.1:${port}/x${target}` } }),
      ),
    );
    await origin.close();
    origin = createQiniu({ ...optionsAt(scripted.url), private: true, ...KEYS });
    try {
      await origin.fetch(ask("a.jpg", { followsRedirects: false }));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "origin_redirect", location: undefined });
      expect(String(error)).not.toMatch(/token=|MY_/);
    }
  });

  test("names the failed URL without its token", async () => {
    await start({ private: true, ...KEYS });
    const dead = createQiniu({ ...optionsAt(scripted.url), private: true, ...KEYS, allowPrivate: false });
    try {
      await dead.fetch(ask("a.jpg"));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "origin_blocked" });
      expect(String(error)).not.toMatch(/token|MY_/);
    } finally {
      await dead.close();
    }
    expect(scripted.requests).toEqual([]);
  });

  test.each<Partial<QiniuOptions>>([
    { private: true },
    { private: true, accessKey: "AK" },
    { private: true, accessKey: "A K", secretKey: "SK" },
    { domain: "x.clouddn.com" },
    { domain: "ftp://x.clouddn.com" },
  ])("refuses %j", async (options) => {
    expect(await codeOf(start(options))).toBe("settings_invalid");
  });
});

function optionsAt(domain: string): QiniuOptions & HttpOriginOptions {
  return {
    domain,
    private: false,
    allowPrivate: true,
    connections: 4,
    timeouts: { connect: 3000, firstByte: 3000, idle: 3000, total: 5000 },
    userAgent: "Huiyuan/test",
    serverId: "test",
    log: SILENT_LOG,
  };
}
