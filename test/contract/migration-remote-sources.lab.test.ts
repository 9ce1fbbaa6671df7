// The sources over HTTP keep the contract of every source: lists of URLs and the origins of a domain against a real
// nginx, S3 against a real Ceph RGW, Qiniu against stand-ins that check signatures and markers.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Source } from "../../src/operate/migrations/source.ts";
import { createKeySource, type Listing } from "../../src/operate/migrations/sources/origins.ts";
import { createQiniuSource } from "../../src/operate/migrations/sources/qiniu.ts";
import { createS3Source } from "../../src/operate/migrations/sources/s3.ts";
import { createSitemapListing } from "../../src/operate/migrations/sources/sitemap.ts";
import { createKeyListing, createUrlListSource } from "../../src/operate/migrations/sources/url-list.ts";
import { createHttpOrigin } from "../../src/serve/origin/kinds/http-origin.ts";
import type { S3Options } from "../../src/serve/origin/kinds/s3.ts";
import { siteRules } from "../../src/serve/origin/kinds/site.ts";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { fetchObject, objectsOf, pagesOf, SOURCE_HTTP } from "../helpers/migration-sources.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { startQiniuListing, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type Nginx, needs, serviceAvailable, startNginx } from "../helpers/services.ts";
import { type SourceLab, sourceContract } from "./migration-source.ts";

describe("sources of a web site", needs("nginx"), () => {
  const root = mkdtempSync(join(tmpdir(), "huiyuan-site-"));
  let nginx: Nginx;
  beforeAll(async () => {
    if (serviceAvailable("nginx")) nginx = await startNginx({ root });
  });
  afterAll(async () => {
    await nginx?.remove();
    rmSync(root, { recursive: true, force: true });
  });

  const urlOf = (name: string) => `${nginx.url}/${name.split("/").map(encodeURIComponent).join("/")}`;
  const site = (listing: Listing) =>
    createKeySource(listing, createHttpOrigin(SOURCE_HTTP, siteRules({ url: nginx.url, allowPrivate: true })));

  /** `list` writes the list of all names, and opens a source over it. */
  async function labOf(list: (file: string, names: readonly string[]) => Source): Promise<SourceLab> {
    const file = join(root, "list.txt");
    const names = new Set<string>();
    const opened: Source[] = [];
    let isBroken = false;
    return {
      open() {
        const source = list(file, [...names]);
        if (isBroken) rmSync(file);
        opened.push(source);
        return source;
      },
      async put(fileid, bytes) {
        names.add(fileid);
        mkdirSync(dirname(join(root, fileid)), { recursive: true });
        writeFileSync(join(root, fileid), bytes);
      },
      remove: async (fileid) => rmSync(join(root, fileid)),
      async breakListing() {
        isBroken = true;
      },
      async close() {
        for (const source of opened) await source.close();
        for (const name of names) rmSync(join(root, name), { force: true });
      },
    };
  }

  sourceContract({
    name: "URLList",
    knowsVersions: false,
    open: () =>
      labOf((file, names) => {
        writeFileSync(file, names.map((name) => `${urlOf(name)}\n`).join(""));
        return createUrlListSource({ file, encoded: "auto", folders: undefined }, SOURCE_HTTP);
      }),
  });

  sourceContract({
    name: "a site with a list of keys",
    knowsVersions: false,
    open: () =>
      labOf((file, names) => {
        writeFileSync(file, names.join("\r\n"));
        return site(createKeyListing({ file, bases: [], folders: undefined }));
      }),
  });

  sourceContract({
    name: "a site with a sitemap",
    knowsVersions: false,
    open: () =>
      labOf((file, names) => {
        const entry = (name: string) => `<url><loc>${nginx.url}/page</loc><image:image>
          <image:loc>${urlOf(name).replaceAll("&", "&amp;").replaceAll("'", "&#39;")}</image:loc></image:image></url>`;
        writeFileSync(file, `<?xml version="1.0"?><urlset>${names.map(entry).join("\n")}</urlset>`);
        const bases = [`//${new URL(nginx.url).host}/`];
        return site(createSitemapListing(`${nginx.url}/list.txt`, bases, SOURCE_HTTP));
      }),
  });
});

describe.each([
  { name: "public", isPrivate: false, referer: undefined },
  { name: "private with a Referer", isPrivate: true, referer: "http://www.example.com/" },
])("Qiniu", ({ name, isPrivate, referer }) => {
  sourceContract({
    name: `Qiniu, ${name}`,
    knowsVersions: true,
    secrets: /QINIU_SK|token=|QBox/,
    async open(): Promise<SourceLab> {
      const objects = new Map<string, Uint8Array>();
      const keys = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };
      let isBroken = false;
      const downloads = await startQiniuStandIn({
        objects,
        ...(isPrivate && { keys }),
        ...(referer !== undefined && { referer }),
      });
      const listing = await startQiniuListing({
        ...{ bucket: "pictures", objects, keys, pageItems: 400 },
        instead: () => (isBroken ? { status: 401, body: '{"error":"bad token"}' } : undefined),
      });
      const opened: Source[] = [];
      return {
        open() {
          const place = { bucket: "pictures", ...keys, domain: downloads.url, endpoint: listing.url };
          const range = { startOffset: 0, total: Number.POSITIVE_INFINITY };
          opened.push(createQiniuSource({ ...place, ...range, referer, isPrivate }, SOURCE_HTTP));
          return opened.at(-1)!;
        },
        put: async (fileid, bytes) => void objects.set(fileid, bytes),
        remove: async (fileid) => void objects.delete(fileid),
        async breakListing() {
          isBroken = true;
        },
        async close() {
          for (const source of opened) await source.close();
          await downloads.close();
          await listing.close();
        },
      };
    },
  });
});

const PUTS_AT_ONCE = 16;

describe("S3", needs("ceph"), () => {
  let rgw: CephRgw;
  beforeAll(async () => {
    if (serviceAvailable("ceph")) rgw = await sharedRgw();
  }, CEPH_START_MS);

  sourceContract({
    name: "S3",
    knowsVersions: true,
    secrets: /testsecret|Signature/,
    async open(): Promise<SourceLab> {
      const { url: endpoint, accessKeyId, secretAccessKey } = rgw;
      const bucket = bucketName();
      const s3 = plainS3(rgw);
      await s3.makeBucket(bucket);
      const opened: Source[] = [];
      const puts: Promise<void>[] = [];
      let secret = secretAccessKey;
      return {
        open() {
          const place = { preset: "ceph", endpoint, bucket, accessKeyId, allowPrivate: true } as const;
          const source = createS3Source({ ...place, secretAccessKey: secret }, SOURCE_HTTP);
          opened.push(source);
          return {
            ...source,
            async *list(after, signal) {
              await Promise.all(puts);
              yield* source.list(after, signal);
            },
          };
        },
        async put(fileid, bytes) {
          puts.push(s3.put(bucket, fileid, bytes));
          if (puts.length % PUTS_AT_ONCE === 0) await Promise.all(puts);
        },
        remove: (fileid) => s3.remove(bucket, fileid),
        async breakListing() {
          secret = "wrong";
        },
        close: async () => void (await Promise.all(opened.map((source) => source.close()))),
      };
    },
  });

  describe("a bucket with 1,100 objects", () => {
    const bucket = bucketName();
    const names = [
      ...Array.from({ length: 1_090 }, (_, index) => `pictures/${String(index).padStart(4, "0")}.jpg`),
      ...[
        "+plus.jpg",
        "a b.jpg",
        "%41.jpg",
        "<&>\"'.jpg",
        "图片.jpg",
        "😀.jpg",
        "\u0001.jpg",
        "//s//.jpg",
        "~!()*.jpg",
      ],
    ].map((name) => (name.startsWith("pictures/") ? name : `pictures/${name}`));
    const opened: Source[] = [];
    const open = (options: Partial<S3Options> = {}, allowPrivate = true) => {
      const { url: endpoint, accessKeyId, secretAccessKey } = rgw;
      const place = { preset: "ceph", endpoint, bucket, accessKeyId, secretAccessKey, prefix: "pictures/" } as const;
      const source = createS3Source({ ...place, allowPrivate, ...options }, { ...SOURCE_HTTP, allowPrivate });
      opened.push(source);
      return source;
    };

    beforeAll(async () => {
      if (!serviceAvailable("ceph")) return;
      const s3 = plainS3(rgw);
      await s3.makeBucket(bucket);
      const queue = [...names, "pictures/", "pictures/folder/", "elsewhere.jpg"];
      const work = async () => {
        for (let name = queue.pop(); name !== undefined; name = queue.pop())
          await s3.put(bucket, name, Buffer.from(name));
      };
      await Promise.all(Array.from({ length: PUTS_AT_ONCE }, work));
    }, CEPH_START_MS);
    afterAll(async () => void (await Promise.all(opened.map((source) => source.close()))));

    test("lists every name below the prefix once, without folders, and fetches odd ones", async () => {
      const source = open();
      const pages = await pagesOf(source);
      expect(pages.length).toBe(2);
      const objects = pages.flatMap((page) => page.objects);
      expect(objects.map(({ fileid }) => `pictures/${fileid}`).sort()).toEqual([...names].sort());
      for (const object of objects.filter(({ fileid }) => !/^\d/.test(fileid))) {
        const bytes = Buffer.from(`pictures/${object.fileid}`);
        expect((await fetchObject(source, object)).bytes).toEqual(bytes);
        expect(object).toMatchObject({
          size: bytes.byteLength,
          version: createHash("md5").update(bytes).digest("hex"),
        });
      }
      const behind = pages[0]?.objects.length ?? 0;
      expect(await objectsOf(open(), pages[0]?.cursor)).toEqual(objects.slice(behind));
      expect(await objectsOf(open(), pages[1]?.cursor)).toEqual([]);
    });

    test("a listing that is refused throws with the store's code, and sends nothing to a private address", async () => {
      const failed = objectsOf(open({ bucket: bucketName() }));
      await expect(failed).rejects.toMatchObject({ code: "origin_status", originStatus: 404 });
      await expect(objectsOf(open({ accessKeyId: "nobody" }))).rejects.toThrow(/status 403 \(InvalidAccessKeyId\)/);
      await expect(objectsOf(open({}, false))).rejects.toMatchObject({ code: "origin_blocked" });
    });
  });
});

describe("a store that lists wrongly", () => {
  const listing = (isTruncated: boolean, ...names: readonly string[]) =>
    response(`<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>
      ${names.map((name) => `<Contents><Key>${name}</Key><Size>1</Size></Contents>`).join("")}</ListBucketResult>`);
  const slow = response("<Error><Code>SlowDown</Code></Error>", { status: "503 Slow Down" });

  test.each([
    ["ignores where a page begins", [[listing(true, "a.jpg")]], "where the page begins"],
    ["sends an empty page before the last", [[listing(true, "a.jpg")], [listing(true)]], "is empty"],
    ["sends a page of a proxy", [[listing(true, "a.jpg")], [response("<html>")]], "is no listing"],
    ["sends an empty 404", [[listing(true, "a.jpg")], [response("", { status: "404 Not Found" })]], "status 404"],
    ["is slow for a moment", [[listing(true, "a.jpg")], [slow], [listing(false, "b.jpg")]], "a.jpg b.jpg"],
  ])("%s", async (_name, inTurn, found) => {
    const server = await startScriptedOrigin({ "/": { inTurn } }, { nameOf: () => "/" });
    const source = createS3Source({ endpoint: server.url, bucket: "b", allowPrivate: true }, SOURCE_HTTP);
    const listed = objectsOf(source).then((objects) => objects.map(({ fileid }) => fileid).join(" "), String);
    expect(await listed).toContain(found);
    await source.close();
    await server.close();
  });
});
