import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { EMPTY_PAYLOAD, encodeS3Path, type S3KeyCache, signS3Request } from "../../../src/core/sigv4.ts";

// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
const EXAMPLE = {
  region: "us-east-1",
  credentials: { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" },
  now: Date.UTC(2013, 4, 24),
};
const HOST = "https://examplebucket.s3.amazonaws.com";

describe("signS3Request()", () => {
  test.each([
    {
      name: "GET with a bare parameter",
      request: { method: "GET", url: `${HOST}/?lifecycle`, payloadHash: EMPTY_PAYLOAD },
      signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    },
    {
      name: "GET with a query",
      request: { method: "GET", url: `${HOST}/?max-keys=2&prefix=J`, payloadHash: EMPTY_PAYLOAD },
      signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    },
    {
      name: "PUT with headers and an odd key",
      request: {
        method: "PUT",
        url: `${HOST}/${encodeS3Path("test$file.text")}`,
        headers: { date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" },
        payloadHash: createHash("sha256").update("Welcome to Amazon S3.").digest("hex"),
      },
      signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    },
  ] as const)("makes the signature of the documentation: $name", async ({ request, signature }) => {
    const headers = await signS3Request({ ...EXAMPLE, ...request });
    expect(headers.authorization?.split("Signature=")[1]).toBe(signature);
    expect(headers).toMatchObject({
      host: "examplebucket.s3.amazonaws.com",
      "x-amz-date": "20130524T000000Z",
      "x-amz-content-sha256": request.payloadHash,
    });
  });

  test("signs the same with a key cache, which stays small over many days", async () => {
    const keyCache: S3KeyCache = new Map();
    for (let day = 0; day < 30; day += 1) {
      const request = {
        ...EXAMPLE,
        now: EXAMPLE.now + day * 86_400_000,
        method: "GET",
        url: `${HOST}/a.jpg`,
        payloadHash: EMPTY_PAYLOAD,
      } as const;
      const plain = await signS3Request(request);
      expect(await signS3Request({ ...request, keyCache })).toEqual(plain);
      expect(await signS3Request({ ...request, keyCache })).toEqual(plain);
    }
    expect(keyCache.size).toBeLessThanOrEqual(8);
  });

  test("keeps a port in the host header, and omits the scheme's default port", async () => {
    const host = async (url: string) =>
      (await signS3Request({ ...EXAMPLE, method: "GET", url, payloadHash: EMPTY_PAYLOAD })).host;
    expect(await host("http://127.0.0.1:7480/b/a.jpg")).toBe("127.0.0.1:7480");
    expect(await host("https://example.com:443/b/a.jpg")).toBe("example.com");
  });
});

test.each([
  ["a/b.jpg", "a/b.jpg"],
  ["/a//b/", "/a//b/"],
  ["a b+c%20.jpg", "a%20b%2Bc%2520.jpg"],
  ["回源.jpg", "%E5%9B%9E%E6%BA%90.jpg"],
  ["~-._", "~-._"],
  ["!'()*@,;:=&$?#", "%21%27%28%29%2A%40%2C%3B%3A%3D%26%24%3F%23"],
])("encodeS3Path(%j) is %s", (key, path) => {
  expect(encodeS3Path(key)).toBe(path);
});
