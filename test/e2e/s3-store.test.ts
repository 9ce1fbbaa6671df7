// The whole program with `store: s3` on a real Ceph RGW, whose objects an independent client reads. S3 goes down under
// load and recovers, with a kill -9 in between.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { type GetResult, get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { metric } from "../helpers/processing.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { needs } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { type SwitchProxy, startSwitchProxy } from "../helpers/switch-proxy.ts";

const FOLDER = `images/${APPID}/photos/`;

/** A site with a different image under every path. */
class Site {
  readonly asked = new Map<string, number>();
  readonly #jpeg: Buffer;
  readonly #server: Server;

  constructor(jpeg: Buffer) {
    this.#jpeg = jpeg;
    this.#server = createServer((request, response) => {
      const key = decodeURIComponent((request.url ?? "").slice(1));
      this.asked.set(key, (this.asked.get(key) ?? 0) + 1);
      if (key.startsWith("missing")) response.writeHead(404).end();
      else response.end(this.image(key));
    });
  }

  /** The bytes after the image's end differ for each key. */
  image(key: string): Buffer {
    return Buffer.concat([this.#jpeg, Buffer.alloc(key.startsWith("large") ? 3_000_000 : 0), Buffer.from(key)]);
  }

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

describe("store: s3", needs("ceph"), () => {
  let rgw: CephRgw;
  let plain: PlainS3;
  let jpeg: Buffer;
  let s3Bucket: string;
  let site: Site;
  let proxy: SwitchProxy;
  let installation: Installation;
  let program: Program;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    rgw = await sharedRgw();
    plain = plainS3(rgw);
    jpeg = await noisyJpeg(160, 120);
  }, CEPH_START_MS);
  afterEach(async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  });

  async function setUp(limits: object = {}): Promise<void> {
    await prepare(limits);
    program = await installation.start();
    cleanUp.push(() => program.kill());
  }

  /** All but the server. */
  async function prepare(limits: object = {}): Promise<void> {
    s3Bucket = bucketName();
    await plain.makeBucket(s3Bucket);
    site = new Site(jpeg);
    const url = await site.start();
    cleanUp.push(() => site.stop());
    proxy = await startSwitchProxy(rgw.port);
    cleanUp.push(() => proxy.close());
    const { region, accessKeyId, secretAccessKey } = rgw;
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    const store = { type: "s3", endpoint, region, bucket: s3Bucket, prefix: "images/", accessKeyId, secretAccessKey };
    const mirror = mirrorOf(url, { negativeTtl: "0s" });
    installation = await install(oneBucket(mirror, {}, { store: { ...store, allowPrivate: true }, limits }));
    cleanUp.push(() => installation.remove());
  }

  const download = (key: string) => get({ port: program.downloadPort, path: pathOf(key) });
  const said = (answer: GetResult) => String(answer.headers["cache-status"]);

  async function readyz(): Promise<{ status: number; body: string }> {
    const answer = await get({ port: program.adminPort, path: "/readyz", host: "localhost" });
    return { status: answer.status, body: answer.body.toString() };
  }

  async function inS3(): Promise<string[]> {
    return (await plain.list(s3Bucket, FOLDER)).map((name) => name.slice(FOLDER.length));
  }

  /** Waits until S3 has all keys, and compares their bytes. */
  async function expectInS3(keys: readonly string[]): Promise<void> {
    await eventually(async () => new Set(await inS3()).size >= keys.length, `${keys.length} objects in S3`, 60_000);
    for (const key of keys) {
      const answer = await plain.get(s3Bucket, FOLDER + key);
      expect({ key, isEqual: answer?.body.equals(site.image(key)) }).toEqual({ key, isEqual: true });
    }
  }

  test("an image is fetched once, stored in S3 for every tool, and served from there by a new server", async () => {
    await setUp();
    const key = "2015/海 滩+1.jpg";
    const first = await download(key);
    expect([first.status, first.body.equals(site.image(key))]).toEqual([200, true]);
    await expectInS3([key]);
    expect((await plain.get(s3Bucket, FOLDER + key))?.headers["content-type"]).toBe("image/jpeg");

    await site.stop();
    expect(await program.stop()).toBe(0);
    const other = await install(JSON.parse(await settingsText()));
    cleanUp.push(() => other.remove());
    program = await other.start();
    const again = await download(key);
    expect([again.status, said(again)]).toEqual([200, "huiyuan; hit; detail=bucket"]);
    expect(again.body.equals(site.image(key))).toBe(true);
    expect(again.headers.etag).toBeDefined();
    expect(site.asked.get(key)).toBe(1);
  });

  test("variants are stored on the server's disk, never in S3, and served while S3 is down", async () => {
    await setUp();
    const path = "/processed.jpg?imageView2/2/w/40";
    const ask = () => get({ port: program.downloadPort, path });
    const first = await ask();
    expect([first.status, first.headers["content-type"]]).toEqual([200, "image/jpeg"]);
    await expectInS3(["processed.jpg"]);
    await eventually(async () => /detail=(memory|bucket)/.test(said(await ask())), "the variant is stored");
    expect(await inS3()).toEqual(["processed.jpg"]);
    await program.stop();
    program = await installation.start();
    proxy.turn("hang");
    const again = await ask();
    expect([again.status, again.body.equals(first.body), said(again)]).toEqual([
      200,
      true,
      "huiyuan; hit; detail=bucket",
    ]);
    expect(site.asked.get("processed.jpg")).toBe(1);
  });

  test("an S3 that hangs under load fails no hit, misses are streamed, kill -9 loses nothing, and all objects reach S3 later", async () => {
    // Local copies are read from the disk, not from memory.
    await setUp({ memory: "1MiB", hotObjectSize: "1KB" });
    const known = Array.from({ length: 40 }, (_, index) => `known/${index}.jpg`);
    for (const key of known) expect((await download(key)).status).toBe(200);
    await expectInS3(known);

    proxy.turn("hang");
    const fresh: string[] = [];
    const failed: string[] = [];
    let hits = 0;
    async function ask(key: string): Promise<void> {
      const answer = await download(key);
      const isRight = answer.status === 200 && answer.isWhole && answer.body.equals(site.image(key));
      if (!isRight) failed.push(`${key} ${answer.status}`);
      else if (known.includes(key)) hits += 1;
    }
    /** Four clients until `isEnough`; every twentieth request of each is for a new image. */
    async function load(isEnough: () => Promise<boolean> | boolean, what: string): Promise<void> {
      let isOver = false;
      const client = async (number: number) => {
        for (let step = 0; !isOver; step += 1) {
          const isFresh = step % 20 === 0;
          const key = isFresh ? `fresh/${number}-${fresh.length}.jpg` : known[(step * 7 + number) % known.length];
          if (isFresh && key !== undefined) fresh.push(key);
          await ask(key ?? "");
          await delay(5);
        }
      };
      const clients = Promise.all([0, 1, 2, 3].map(client));
      try {
        await eventually(isEnough, what, 60_000);
      } finally {
        isOver = true;
        await clients;
      }
    }
    const isReported = async () => (await readyz()).body.includes("S3 has not answered");
    await load(async () => hits > 100 && fresh.length > 8 && (await isReported()), "readyz reports the outage");
    expect((await readyz()).status).toBe(200);
    const [hitsBefore, freshBefore] = [hits, fresh.length];

    // A small image is written within a fraction of a second after its answer; before that a kill may lose it.
    const stored = () => metric(program.adminPort, "huiyuan_stored_total");
    await eventually(
      async () => (await stored()) === known.length + fresh.length,
      "all fetched images are in the queue on the disk",
    );
    await program.kill();
    program = await installation.start();
    const isEnough = async () => hits > hitsBefore + 100 && fresh.length > freshBefore + 8 && (await isReported());
    await load(isEnough, "the outage goes on after the restart");
    expect(failed).toEqual([]);

    // The origin stops too, so that only the queue has these images.
    await site.stop();
    for (const key of fresh) {
      const found = async () => {
        const answer = await download(key);
        return [answer.status, said(answer)];
      };
      // The fetch of the last one may still be running.
      await expect.poll(found, { timeout: 10_000 }).toEqual([200, "huiyuan; hit; detail=spool"]);
    }
    // An image that S3 may have is not reported as missing.
    expect((await download("elsewhere.jpg")).status).not.toBe(404);

    proxy.turn("pass");
    await expectInS3([...known, ...fresh]);
    await eventually(async () => !(await readyz()).body.includes("S3"), "readyz reports nothing about S3");
    expect(said(await download(fresh[0] ?? ""))).toBe("huiyuan; hit; detail=bucket");
  }, 180_000);

  test("a range of an image that is damaged in S3 never has a wrong byte, and the image is not reported as missing", async () => {
    await setUp();
    const key = "large.jpg";
    await download(key);
    await expectInS3([key]);
    expect(await program.stop()).toBe(0);
    const { headers = {} } = (await plain.get(s3Bucket, FOLDER + key)) ?? {};
    const described = Object.entries(headers).filter(
      ([name]) => name.startsWith("x-amz-meta-") || name === "content-type",
    );
    const wrong = site.image(key);
    wrong.writeUInt8(wrong.readUInt8(50) ^ 1, 50);
    await plain.put(s3Bucket, FOLDER + key, wrong, Object.fromEntries(described) as Record<string, string>);
    await site.stop();

    const other = await install(JSON.parse(await settingsText()));
    cleanUp.push(() => other.remove());
    program = await other.start();
    const part = await get({ port: program.downloadPort, path: pathOf(key), headers: { range: "bytes=0-99" } });
    // Neither S3 nor the origin can serve it, so the client gets the origin's failure.
    expect([part.status, part.headers["x-errno"]]).toEqual([424, "-902"]);
    const whole = await download(key);
    expect(whole.status).toBe(424);
  });

  test("an origin's 404 becomes a 500 while S3 is down, and is a 404 again once S3 is back", async () => {
    await setUp();
    expect((await download("missing.jpg")).status).toBe(404);
    proxy.turn("refuse");
    await eventually(async () => (await download("missing.jpg")).status === 500, "S3 is known to be down");
    proxy.turn("pass");
    await eventually(async () => (await download("missing.jpg")).status === 404, "S3 is back");
  });

  test("wrong keys stop the start with the error of S3", async () => {
    await prepare();
    const settings = JSON.parse(await settingsText());
    const other = await install({ ...settings, store: { ...settings.store, secretAccessKey: "wrong" } });
    cleanUp.push(() => other.remove());
    await expect(other.start()).rejects.toThrow("403 SignatureDoesNotMatch");
  });

  /** The installation's settings, without its ports and data folder. */
  async function settingsText(): Promise<string> {
    const { data: _data, server: _server, ...rest } = JSON.parse(await readFile(installation.file, "utf8"));
    return JSON.stringify(rest);
  }
});
