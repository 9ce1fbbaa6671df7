// Two programs on one real Ceph RGW, without and with a real Valkey. One fetches an image, the other changes its key
// meanwhile, and the origin has new bytes by then: the old bytes never come back.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, type CephRgw, sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { needs } from "../helpers/services.ts";
import { APPID, mirrorOf, oneBucket } from "../helpers/settings.ts";
import { startValkey, type Valkey } from "../helpers/valkey.ts";

const ROUNDS = 50;
/** Rounds at the same time. */
const AT_ONCE = 25;

describe("two servers on a real Ceph RGW", needs("ceph"), () => lateWrites(false));
describe("two servers on a real Ceph RGW with a real Valkey", needs("ceph", "valkey"), () => lateWrites(true));

function lateWrites(hasValkey: boolean): void {
  const s3Bucket = bucketName();
  let valkey: Valkey | undefined;
  let plain: PlainS3;
  let origin: ScriptedOrigin;
  let installations: readonly Installation[] = [];
  let here: Program;
  let other: Program;
  let oldImage: Buffer;
  let newImage: Buffer;
  /** Paths whose image the origin has replaced. */
  const replaced = new Set<string>();
  /** Paths whose first answer is held until its function is called. */
  const held = new Map<string, () => void>();
  const isAsked = new Set<string>();

  beforeAll(async () => {
    const rgw: CephRgw = await sharedRgw();
    plain = plainS3(rgw);
    await plain.makeBucket(s3Bucket);
    [oldImage, newImage] = [await noisyJpeg(60, 40), await noisyJpeg(64, 44)];
    origin = await startScriptedOrigin(async ({ target }, connection) => {
      const bytes = replaced.has(target) ? newImage : oldImage;
      const isFirst = !isAsked.has(target);
      isAsked.add(target);
      if (isFirst) await new Promise<void>((resolve) => held.set(target, resolve));
      await connection.send(response(bytes));
    });
    const { url: endpoint, region, accessKeyId, secretAccessKey } = rgw;
    const place = { endpoint, region, bucket: s3Bucket, accessKeyId, secretAccessKey, pathStyle: true };
    valkey = hasValkey ? await startValkey() : undefined;
    const settingsOf = (name: string) => {
      const coordination = valkey && { coordination: { type: "valkey", url: valkey.url, name } };
      return oneBucket(
        mirrorOf(origin.url),
        {},
        { store: { type: "s3", ...place, allowPrivate: true }, ...coordination },
      );
    };
    installations = [await install(settingsOf("here")), await install(settingsOf("other"))];
    [here, other] = (await Promise.all(installations.map((each) => each.start()))) as [Program, Program];
  }, CEPH_START_MS);
  afterAll(async () => {
    await Promise.all([here?.kill(), other?.kill()]);
    await Promise.all([origin?.close(), valkey?.close()]);
    for (const each of installations) await each.remove();
  });

  const imageAt = async ({ downloadPort: port }: Program, path: string) => {
    const { status, body } = await get({ port, path, host: "any.example" });
    return status !== 200 ? String(status) : body.equals(oldImage) ? "old" : body.equals(newImage) ? "new" : "another";
  };

  async function change(what: "purge" | "delete" | "undelete", path: string): Promise<void> {
    const hard = what === "purge" ? { hard: true } : {};
    const answer = await fetch(`http://127.0.0.1:${here.adminPort}/api/v1/objects/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ bucket: `${APPID}/photos`, names: [path.slice(1)], ...hard }),
    });
    const text = await answer.text();
    expect([answer.status, text]).toEqual([200, expect.stringContaining('"failed":0')]);
  }

  const inS3 = async (path: string) => {
    const found = await plain.get(s3Bucket, `${APPID}/photos${path}`);
    return found?.body.equals(oldImage) === true ? "old" : found === undefined ? "absent" : "other";
  };

  const settled = (program: Program) =>
    eventually(async () => {
      const text = await (await fetch(`http://127.0.0.1:${program.adminPort}/metrics`)).text();
      return /^huiyuan_storing_depth 0$/m.test(text);
    }, "every image is stored or given up");

  /** Begins the fetch at the other server. The returned function lets its body arrive, and resolves at its end. */
  async function beginFetch(path: string): Promise<() => Promise<void>> {
    const answer = imageAt(other, path);
    await eventually(() => held.has(path), "the origin was asked");
    return async () => {
      held.get(path)?.();
      expect(await answer).toBe("old");
    };
  }

  async function replaceImage(path: string, isStored: boolean): Promise<void> {
    if (isStored) {
      expect(await imageAt(here, path)).toBe("old");
      await eventually(async () => (await inS3(path)) === "old", "the image is in S3");
    }
    replaced.add(path);
  }

  test("an acknowledged upload that races an undelete on the other server is kept, 36 times", async () => {
    let acknowledged = 0;
    /** The undelete begins in another moment of the upload each time. */
    async function round(path: string, index: number): Promise<void> {
      await change("delete", path);
      const sign = uploadToken(path.slice(1));
      const upload = callApi({ port: other.downloadPort, path, form: fileForm(newImage), sign });
      const [{ code }] = await Promise.all([upload, delay(2 * index).then(() => change("undelete", path))]);
      if (code !== 0) return;
      acknowledged += 1;
      const found = await plain.get(s3Bucket, `${APPID}/photos${path}`);
      expect(found?.body.equals(newImage), path).toBe(true);
    }
    const paths = Array.from({ length: 36 }, (_, index) => `/raced-${index}.jpg`);
    for (const [index, path] of paths.entries()) await round(path, index);
    expect(acknowledged).toBe(36);
  });

  /** `races`: the body arrives while the change runs. Then the other server may have stored it before. */
  const KINDS: Readonly<Record<string, (path: string, end: () => Promise<void>, races: boolean) => Promise<void>>> = {
    async "a hard purge"(path, end, races) {
      if (races) await Promise.all([change("purge", path), end()]);
      else await change("purge", path).then(end);
    },
    async "an undelete"(path, end, races) {
      await change("delete", path);
      if (races) await Promise.all([change("undelete", path), end()]);
      else await change("undelete", path).then(end);
    },
    async "a delete and an undelete"(path, end, races) {
      const both = () => change("delete", path).then(() => change("undelete", path));
      if (races) await Promise.all([both(), end()]);
      else await both().then(end);
    },
  };

  test.each(Object.entries(KINDS))(`after %s the old bytes never come back, ${ROUNDS} times`, async (what, run) => {
    const paths = Array.from({ length: ROUNDS }, (_, round) => `/${what.replaceAll(" ", "-")}-${round}.jpg`);
    async function round(path: string, index: number): Promise<void> {
      const races = index % 4 > 1;
      const end = await beginFetch(path);
      await replaceImage(path, index % 2 === 1);
      await run(path, end, races);
      if (!races)
        await eventually(async () => (await imageAt(other, path)) === "new", "the other server has new bytes");
      expect(await imageAt(here, path)).toBe("new");
    }
    for (let from = 0; from < ROUNDS; from += AT_ONCE)
      await Promise.all(paths.slice(from, from + AT_ONCE).map((path, at) => round(path, from + at)));
    await Promise.all([settled(here), settled(other)]);
    const found = await Promise.all(paths.map(async (path) => `${await imageAt(here, path)} ${await inS3(path)}`));
    expect(found).toEqual(paths.map(() => "new other"));
  });
}
