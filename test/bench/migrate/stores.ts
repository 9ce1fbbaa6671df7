// A bucket of a real Ceph RGW beside rclone, and a bucket of a Qiniu stand-in.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CephRgw, sharedRgw, startGateway } from "../../helpers/ceph.ts";
import { plainS3 } from "../../helpers/plain-s3.ts";
import { startQiniuListing, startQiniuStandIn } from "../../helpers/qiniu-stand-in.ts";
import { pictureOf } from "../pictures.ts";
import { type Bench, faster, inTurns, migrated, type Outcome, type Round, removeAll, settled, timed } from "./case.ts";

const CEPH = fileURLToPath(new URL("../../services/ceph-rgw.sh", import.meta.url));
const OBJECTS = 10_000;
const PUTS_AT_ONCE = 32;
const KEYS = { accessKey: "QINIU_AK", secretKey: "QINIU_SK" };

export interface Store {
  readonly count: number;
  readonly config: Readonly<Record<string, string>>;
  objects(): Iterable<readonly [string, Uint8Array]>;
  /** Names in the order of their requests. */
  fetched(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

async function picturesOf(scale: number): Promise<ReadonlyMap<string, Buffer>> {
  const pictures = await Promise.all([4_000, 8_000, 12_000].map(pictureOf));
  const names = Array.from({ length: Math.round(OBJECTS * scale) }, (_, index) => `${index % 100}/图 ${index}.jpg`);
  return new Map(names.map((name, index) => [name, pictures[index % pictures.length]!.for(name)]));
}

export async function startQiniu({ scale }: Pick<Bench, "scale">): Promise<Store> {
  const objects = await picturesOf(scale);
  const downloads = await startQiniuStandIn({ objects, keys: KEYS });
  const listing = await startQiniuListing({ bucket: "pictures", objects, keys: KEYS });
  return {
    count: objects.size,
    config: {
      "migrate.type": "Qiniu",
      "qiniu.bucket": "pictures",
      "qiniu.domain": downloads.url,
      "qiniu.endpoint": listing.url,
      "qiniu.AccessKey": KEYS.accessKey,
      "qiniu.SecretKey": KEYS.secretKey,
      "qiniu.isprivate": "True",
    },
    objects: () => objects,
    fetched: async () => downloads.requests.map(({ key }) => key),
    async stop() {
      await downloads.close();
      await listing.close();
    },
  };
}

/** If this process is killed, the script ends Ceph. */
async function startCeph(folder: string): Promise<CephRgw> {
  process.env.HUIYUAN_TEST_SERVICES = folder;
  process.env.HUIYUAN_TEST_OWNER = String(process.pid);
  return sharedRgw();
}

export async function startS3({
  folder,
  scale,
}: Pick<Bench, "folder" | "scale">): Promise<Store & { rgw: CephRgw; bucket: string }> {
  await startCeph(folder);
  const gateway = await startGateway();
  const bucket = `migrated-${Date.now()}`;
  const objects = await picturesOf(scale);
  const client = plainS3(gateway);
  await client.makeBucket(bucket);
  const left = objects.entries();
  await Promise.all(
    Array.from({ length: PUTS_AT_ONCE }, async () => {
      for (const [name, bytes] of left) await client.put(bucket, name, bytes);
    }),
  );
  return {
    rgw: gateway,
    bucket,
    count: objects.size,
    config: {
      "migrate.type": "S3",
      "s3.bucket": bucket,
      "s3.endpoint": gateway.url,
      "s3.preset": "ceph",
      "s3.accesskey": gateway.accessKeyId,
      "s3.secretkey": gateway.secretAccessKey,
    },
    objects: () => objects,
    async fetched() {
      const lines = await gateway.accessLog();
      const paths = lines.flatMap((line) => / GET (\/\S+) /.exec(line)?.[1] ?? []);
      const names = paths.map((path) => decodeURIComponent(path.split("?", 1)[0]!).slice(bucket.length + 2));
      return names.filter((name) => objects.has(name));
    },
    async stop() {
      await gateway.stop();
      await timed("bash", [CEPH, "stop", join(folder, "ceph")]);
    },
  };
}

export async function s3(bench: Bench): Promise<Outcome> {
  const store = await startS3(bench);
  try {
    const { rgw, bucket, count } = store;
    const copies = join(bench.folder, "copies");
    const rclone: Round = async () => {
      await mkdir(copies);
      await settled();
      const place = ["--s3-provider", "Ceph", "--s3-endpoint", rgw.url];
      const keys = ["--s3-access-key-id", rgw.accessKeyId, "--s3-secret-access-key", rgw.secretAccessKey];
      const args = ["copy", "--transfers", "64", ...place, ...keys, `:s3:${bucket}`, copies];
      const seconds = (await timed("rclone", args)) + (await timed("sync", ["-f", copies]));
      await removeAll(copies);
      return { seconds };
    };
    const title = `${count} objects of Ceph RGW`;
    const speeds = await inTurns(bench.rounds, count, {
      "huiyuan migrate": () => migrated(bench, store.config, store),
      "rclone copy --transfers 64, sync": rclone,
    });
    const facts = [`All ${count} objects of every run are equal by SHA-256.`];
    return { title, speeds, verdicts: [faster(title, speeds[0]!, speeds[1]!)], facts };
  } finally {
    await store.stop();
  }
}

export async function qiniu(bench: Bench): Promise<Outcome> {
  const store = await startQiniu(bench);
  try {
    const { count } = store;
    const title = `${count} objects of a Qiniu stand-in`;
    const speeds = await inTurns(bench.rounds, count, {
      "huiyuan migrate": () => migrated(bench, store.config, store),
    });
    return { title, speeds, verdicts: [], facts: [`All ${count} objects of every run are equal by SHA-256.`] };
  } finally {
    await store.stop();
  }
}
