// Four nodes on one real Ceph RGW and one real Valkey: they fetch each image once, and no node serves what another one
// has purged or deleted, whatever happens to Valkey.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NodesAnswer } from "../../src/operate/nodes/contract.ts";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { loadedHuiyuan } from "../helpers/loaded-program.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { type SwitchProxy, startSwitchProxy } from "../helpers/switch-proxy.ts";
import { startValkey, type Valkey } from "../helpers/valkey.ts";

const NODES = 4;
const CHANGES = 200;
const S3_AWAY_MS = 60_000;

describe("four nodes on a real Ceph RGW and a real Valkey", needs("ceph", "valkey"), () => {
  let s3: SwitchProxy;
  let valkey: Valkey;
  /** The way of all nodes to Valkey. */
  let toValkey: SwitchProxy;
  let origin: ScriptedOrigin;
  let installations: readonly Installation[] = [];
  let nodes: readonly Program[] = [];
  let oldImage: Buffer;
  let newImage: Buffer;
  /** Paths whose image the origin has replaced. */
  const replaced = new Set<string>();
  const requests = new Map<string, number>();
  /** The origin answers these after so many milliseconds. */
  let originMs = 0;

  beforeAll(async () => {
    const rgw = await sharedRgw();
    const s3Bucket = bucketName();
    await plainS3(rgw).makeBucket(s3Bucket);
    s3 = await startSwitchProxy(Number(new URL(rgw.url).port));
    valkey = await startValkey();
    toValkey = await startSwitchProxy(valkey.port);
    const url = `redis://127.0.0.1:${toValkey.port}/0`;
    [oldImage, newImage] = [await noisyJpeg(60, 40), await noisyJpeg(64, 44)];
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      requests.set(target, (requests.get(target) ?? 0) + 1);
      const bytes = replaced.has(target) ? newImage : oldImage;
      await delay(originMs);
      await connection.send(response(bytes));
    });
    const { region, accessKeyId, secretAccessKey } = rgw;
    const endpoint = `http://127.0.0.1:${s3.port}`;
    const place = { endpoint, region, bucket: s3Bucket, accessKeyId, secretAccessKey, pathStyle: true };
    const store = { type: "s3", ...place, allowPrivate: true };
    const settingsOf = (name: string) =>
      oneBucket(mirrorOf(origin.url), {}, { store, coordination: { type: "valkey", url, name } });
    installations = await Promise.all(
      Array.from({ length: NODES }, (_, index) => install(settingsOf(`node-${index}`))),
    );
    nodes = await Promise.all(installations.map((each) => each.start()));
    await allAttached();
  }, CEPH_START_MS);
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await Promise.all([origin?.close(), toValkey?.close(), valkey?.close(), s3?.close()]);
    for (const each of installations) await each.remove();
  });

  const isAttached = async ({ adminPort }: Program) => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).text();
    return !text.includes("Valkey has not answered");
  };
  const allAttached = () =>
    eventually(async () => (await Promise.all(nodes.map(isAttached))).every(Boolean), "every node is attached");

  const nodeAt = (index: number) => nodes[index % NODES] as Program;

  async function imageAt({ downloadPort: port }: Program, path: string): Promise<string> {
    const { status, body } = await get({ port, path, host: "any.example" });
    return status !== 200 ? String(status) : body.equals(oldImage) ? "old" : body.equals(newImage) ? "new" : "another";
  }
  const onAll = (path: string) => Promise.all(nodes.map((node) => imageAt(node, path)));
  const each = (text: string) => nodes.map(() => text);

  async function change(
    node: Program,
    what: "purge" | "delete" | "undelete",
    path: string,
    isHard = true,
  ): Promise<void> {
    const hard = what === "purge" ? { hard: isHard } : {};
    const answer = await fetch(`http://127.0.0.1:${node.adminPort}/api/v1/objects/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ bucket: `${APPID}/photos`, names: [path.slice(1)], ...hard }),
    });
    const text = await answer.text();
    expect([answer.status, text]).toEqual([200, expect.stringContaining('"failed":0')]);
  }

  test("fifty cold clients over all nodes cost the origin one request a key", async () => {
    originMs = 300;
    for (let round = 0; round < 5; round += 1) {
      const path = `/cold-${round}.jpg`;
      const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => imageAt(nodeAt(index), path)));
      expect(answers).toEqual(Array.from({ length: 50 }, () => "old"));
      expect(requests.get(path), path).toBe(1);
    }
    originMs = 0;
  });

  test("a purged image that all nodes have costs the origin one revalidation", async () => {
    originMs = 300;
    for (let round = 0; round < 5; round += 1) {
      const path = `/stale-${round}.jpg`;
      expect(await onAll(path)).toEqual(each("old"));
      requests.delete(path);
      await change(nodeAt(round), "purge", path, false);
      const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => imageAt(nodeAt(index), path)));
      expect(answers).toEqual(Array.from({ length: 20 }, () => "old"));
      expect(await onAll(path)).toEqual(each("old"));
      expect(requests.get(path), path).toBe(1);
    }
    originMs = 0;
  });

  test("a purged image that the origin has replaced costs one request, and no client waits for long", async () => {
    originMs = 300;
    for (let round = 0; round < 5; round += 1) {
      const path = `/renewed-${round}.jpg`;
      expect(await onAll(path)).toEqual(each("old"));
      replaced.add(path);
      requests.delete(path);
      await change(nodeAt(round), "purge", path, false);
      const startedAt = performance.now();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => imageAt(nodeAt(index), path)));
      expect(performance.now() - startedAt).toBeLessThan(4_000);
      expect(answers).toEqual(Array.from({ length: 20 }, () => "new"));
      expect(requests.get(path), path).toBe(1);
    }
    originMs = 0;
  });

  test("no client of any node is refused because the origin answers late", async () => {
    originMs = 6_000;
    const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => imageAt(nodeAt(index), "/late.jpg")));
    expect(answers).toEqual(Array.from({ length: 12 }, () => "old"));
    originMs = 0;
  });

  test("huiyuan nodes lists all nodes, and a change says that all of them have confirmed it", async () => {
    expect(await onAll("/cold-0.jpg")).toEqual(each("old"));
    const command = (...args: string[]) =>
      loadedHuiyuan([...args, "--admin", `http://127.0.0.1:${nodeAt(1).adminPort}`]);
    const listed = async () => {
      const { code, out } = await command("nodes", "--json");
      expect(code).toBe(0);
      return out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)) as NodesAnswer["nodes"];
    };
    await eventually(
      async () => (await listed()).every(({ requests }) => requests > 0),
      "each node tells its downloads",
    );
    const all = await listed();
    const names = nodes.map((_, index) => [`node-${index}`, index === 1]);
    expect(all.map(({ name, isSelf }) => [name, isSelf])).toEqual(names);
    expect(new Set(all.map(({ version, settings }) => `${version} ${settings}`)).size).toBe(1);
    expect(all.every(({ lagMs }) => lagMs < 1_000)).toBe(true);
    const deleted = await command("delete", "cold-0.jpg");
    expect(deleted.out).toContain("1 deleted; 4 of 4 nodes confirmed\n");
    expect(await onAll("/cold-0.jpg")).toEqual(each("404"));
  });

  /** The image is on every node, in memory of each, and the origin has another one now. */
  async function spread(path: string): Promise<void> {
    expect(await onAll(path)).toEqual(each("old"));
    await eventually(async () => {
      await onAll(path);
      return true;
    }, "the image is in memory");
    replaced.add(path);
    expect(await onAll(path)).toEqual(each("old"));
  }

  async function changeAndLook(path: string, index: number, afterMs: number): Promise<void> {
    await spread(path);
    const what = index % 2 === 0 ? "purge" : "delete";
    await change(nodeAt(index), what, path);
    await delay(afterMs);
    expect(await onAll(path), path).toEqual(each(what === "purge" ? "new" : "404"));
    if (what === "purge") return;
    await change(nodeAt(index + 1), "undelete", path);
    await delay(afterMs);
    expect(await onAll(path), path).toEqual(each("new"));
  }

  /** `afterMs`: a node that is not attached compares a key once a second. */
  async function changes(name: string, count: number, afterMs = 0): Promise<void> {
    for (let from = 0; from < count; from += 10)
      await Promise.all(
        Array.from({ length: Math.min(10, count - from) }, (_, at) =>
          changeAndLook(`/${name}-${from + at}.jpg`, from + at, afterMs),
        ),
      );
  }

  test(`after a confirmed purge or delete no node serves the old bytes, ${CHANGES} times`, async () => {
    await changes("changed", CHANGES);
  });

  /** Downloads of stored and of new images on all nodes while something happens. Resolves with the failures. */
  async function whileServing(name: string, happen: () => Promise<void>): Promise<readonly string[]> {
    const failures: string[] = [];
    let isOver = false;
    const stored = `/stored-${name}.jpg`;
    expect(await onAll(stored)).toEqual(each("old"));
    const serve = async (node: Program, worker: number) => {
      for (let index = 0; !isOver; index += 1) {
        const path = index % 5 === 4 ? `/fresh-${name}-${worker}-${index}.jpg` : stored;
        const found = await imageAt(node, path).catch(String);
        if (found !== "old") failures.push(`${path}: ${found}`);
        await delay(20);
      }
    };
    const serving = Promise.all(nodes.flatMap((node, at) => [serve(node, at), serve(node, at + NODES)]));
    await happen();
    isOver = true;
    await serving;
    return failures;
  }

  test("no download fails while Valkey is killed for 5 s, and changes are still seen", async () => {
    const failures = await whileServing("killed", async () => {
      await valkey.kill();
      await delay(1_500);
      await changes("without-valkey", 10, 1_100);
      await delay(1_000);
      await valkey.start();
      await allAttached();
    });
    expect(failures).toEqual([]);
    await changes("killed", 10);
  });

  test("no download fails while Valkey is frozen for 10 s", async () => {
    const failures = await whileServing("frozen", async () => {
      valkey.pause();
      await delay(2_000);
      expect(await isAttached(nodeAt(0))).toBe(false);
      await delay(8_000);
      valkey.resume();
      await allAttached();
    });
    expect(failures).toEqual([]);
    await changes("frozen", 10);
  });

  test("no download fails and no change is missed when Valkey is emptied", async () => {
    const failures = await whileServing("emptied", async () => {
      for (let round = 0; round < 5; round += 1) {
        valkey.flush();
        await changes(`emptied-${round}`, 10);
      }
    });
    expect(failures).toEqual([]);
  });

  test("no download fails while Valkey is slow by 200 ms, and changes are seen", async () => {
    const failures = await whileServing("slow", async () => {
      toValkey.slow(200);
      await changes("slow", 20);
      await delay(2_000);
      toValkey.slow(0);
      await allAttached();
    });
    expect(failures).toEqual([]);
  });

  test("a one-time token that races on all nodes is spent once, also when Valkey is emptied", async () => {
    for (let round = 0; round < 20; round += 1) {
      const path = `/once-${round}.jpg`;
      expect(await imageAt(nodeAt(round), path)).toBe("old");
      const sign = onceToken(path.slice(1));
      const spend = ({ downloadPort: port }: Program) => callApi({ port, path: `${path}/copy`, sign, method: "POST" });
      const raced = await Promise.all(nodes.map(spend));
      if (round % 5 < 4) valkey.flush();
      else await valkey.kill().then(valkey.start);
      const after = await Promise.all(nodes.map(spend));
      const codes = [...raced, ...after].map(({ code }) => code);
      expect(codes.filter((code) => code !== -77)).toHaveLength(1);
    }
    await allAttached();
  });

  /** Uploads on all nodes until `isOver`. Resolves with the images that were acknowledged, by path. */
  async function uploadOnAll(name: string, isOver: () => boolean): Promise<ReadonlyMap<string, Buffer>> {
    const acknowledged = new Map<string, Buffer>();
    await Promise.all(
      nodes.map(async ({ downloadPort: port }, at) => {
        for (let index = 0; !isOver(); index += 1) {
          const path = `/uploaded-${name}-${at}-${index}.jpg`;
          // The bytes after the end of a JPEG tell the images apart.
          const image = Buffer.concat([newImage, Buffer.from(path)]);
          const upload = callApi({ port, path, form: fileForm(image), sign: uploadToken(path.slice(1)) });
          const answer = await upload.catch(() => undefined);
          if (answer === undefined) return; // The node was killed.
          if (answer.code === 0) acknowledged.set(path, image);
        }
      }),
    );
    return acknowledged;
  }

  const restarted = async (index: number) => {
    const node = await (installations[index] as Installation).start();
    nodes = nodes.map((each, at) => (at === index ? node : each));
  };
  const isStored = async ({ adminPort }: Program) =>
    /^huiyuan_storing_depth 0$/m.test(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text());
  const allStored = () =>
    eventually(async () => (await Promise.all(nodes.map(isStored))).every(Boolean), "every image is in S3");

  test("a node that is killed under load while it fetches costs no wrong byte and no acknowledged upload", async () => {
    for (let round = 0; round < 5; round += 1) {
      originMs = 2_000;
      const path = `/holder-${round}.jpg`;
      let isOver = false;
      const uploading = uploadOnAll(String(round), () => isOver);
      const lost = imageAt(nodeAt(round), path).catch(() => "cut");
      await eventually(() => requests.get(path) === 1, "the origin was asked");
      const others = nodes.filter((node) => node !== nodeAt(round));
      const waiting = Promise.all(others.map((node) => imageAt(node, path)));
      await delay(200 * round);
      await nodeAt(round).kill();
      expect(await lost).toBe("cut");
      expect(await waiting).toEqual(["old", "old", "old"]);
      isOver = true;
      originMs = 0;
      const acknowledged = await uploading;
      expect(acknowledged.size).toBeGreaterThan(NODES);
      await restarted(round % NODES);
      await allAttached();
      await allStored();
      for (const [uploaded, image] of acknowledged)
        for (const { downloadPort: port } of nodes) {
          const { status, body } = await get({ port, path: uploaded, host: "any.example" });
          expect([status, body.equals(image)], uploaded).toEqual([200, true]);
        }
    }
    await changes("after-kill", 10);
  });

  test("S3 away for a minute costs no failed hit and no image that was fetched meanwhile", async () => {
    const stored = "/stored-away.jpg";
    expect(await onAll(stored)).toEqual(each("old"));
    expect(await onAll(stored)).toEqual(each("old"));
    s3.turn("refuse");
    await valkey.kill();
    await delay(1_500);
    const endsAt = performance.now() + S3_AWAY_MS;
    let rounds = 0;
    for (; performance.now() < endsAt; rounds += 1) {
      expect(await onAll(stored)).toEqual(each("old"));
      expect(await imageAt(nodeAt(rounds), `/away-${rounds}.jpg`)).toBe("old");
      await delay(300);
    }
    const text = await (await fetch(`http://127.0.0.1:${nodeAt(0).adminPort}/readyz`)).text();
    expect(text).toContain("S3 does not answer either");
    s3.turn("pass");
    await valkey.start();
    await allAttached();
    await allStored();
    for (let round = 0; round < rounds; round += 1) {
      const path = `/away-${round}.jpg`;
      expect(await onAll(path)).toEqual(each("old"));
      expect(requests.get(path), path).toBe(1);
    }
  });
});
