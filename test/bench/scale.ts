// Measures a hit from the bucket with 10 thousand, 100 thousand and a million objects in the catalogue. The requested
// keys are scattered among all. The other objects have rows in the catalogue but no files, because they are never read.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { transaction } from "../../src/core/sqlite.ts";
import { openCatalogue } from "../../src/serve/bucket/fs/catalogue/schema.ts";
import type { Bench, Outcome, Verdict } from "./case.ts";
import { among, type Contender, type ContenderOptions, startHuiyuan } from "./contenders.ts";
import { byWrk, compare, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";

export const BYTES = 20_000;
const AT_ONCE = 16;
const CHECKED = 100;

export async function costByObjects({ place, effort }: Bench): Promise<Outcome> {
  const asked = effort.isQuick ? 1_000 : 10_000;
  const counts = effort.isQuick ? [1_000, 100_000] : [10_000, 100_000, 1_000_000];
  const paths = Array.from({ length: asked }, (_, index) => `/${BYTES}/${scattered(index)}.jpg`);
  const first = join(place.folder, "filled");
  await fill({ ...place, data: first }, paths);
  const starts = counts.map((count) => async () => {
    const data = join(place.folder, `grown-${count}`);
    await grownCopy(first, data, count - asked);
    return startHuiyuan({ ...place, name: named(count), data, limits: { memory: "1MiB" } });
  });
  return among(starts, async (contenders) => {
    for (const contender of contenders) await allFromBucket(contender, paths.slice(0, CHECKED));
    const figures = await compare(contenders, byWrk({ kind: "random", paths }), effort);
    const [least, ...others] = figures;
    const verdicts = others.map(
      ({ contender, cpuMicros }, index): Verdict => ({
        what: `bucket hit 20 KB: CPU, ${contender} ÷ ${least?.contender}`,
        value: cpuMicros / (least?.cpuMicros ?? Number.NaN),
        unit: "×",
        target: index === others.length - 1 ? { must: 1.15, aim: 1 } : undefined,
      }),
    );
    return { title: "bucket hit 20 KB", figures, verdicts };
  });
}

/** Otherwise the load would consist of misses. */
async function allFromBucket(contender: Contender, paths: readonly string[]): Promise<void> {
  const picture = await pictureOf(BYTES);
  for (const path of paths) {
    const status = await verify(contender, path, picture.for(path));
    if (!status.includes("detail=bucket"))
      throw new Error(`${contender.name}: ${path} is not in the bucket: ${status}`);
  }
}

function named(count: number): string {
  return `${count.toLocaleString("en")} objects`;
}

/** A name far from its neighbours in the order of keys. */
export function scattered(index: number): string {
  return createHash("md5").update(String(index)).digest("hex");
}

/** Runs the program once, until it has stored all `paths`. */
export async function fill(
  options: ContenderOptions & { readonly data: string },
  paths: readonly string[],
): Promise<void> {
  const picture = await pictureOf(BYTES);
  // Stopping the program waits until everything is stored.
  await among([() => startHuiyuan({ ...options, limits: { memory: "1MiB" } })], async ([huiyuan]) => {
    const queue = [...paths];
    const worker = async () => {
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        await verify(huiyuan, path, picture.for(path));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  });
}

/** Copies the blobs, and the catalogue with `more` additional objects. */
export async function grownCopy(from: string, to: string, more: number): Promise<void> {
  await mkdir(to);
  // Copied, not linked: the program appends to packs.
  for (const name of ["blobs", "packs"]) await promisify(execFile)("cp", ["-a", join(from, name), join(to, name)]);
  const catalogue = join(to, "catalogue.db");
  await copyFile(join(from, "catalogue.db"), catalogue);
  if (more === 0) return;
  const database = openCatalogue(catalogue);
  try {
    // This database need not survive a crash, and an unsorted index grows fastest in memory.
    database.exec("PRAGMA synchronous = OFF");
    database.exec("PRAGMA cache_size = -2000000");
    transaction(database, () => {
      const { last } = database.prepare<[], { last: number }>("SELECT max(id) AS last FROM blobs").get() ?? { last: 0 };
      database
        .prepare(
          `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
           INSERT INTO blobs (sha256, sha1, md5, size, format, width, height, block_sums, refs)
           SELECT lower(hex(randomblob(32))), lower(hex(randomblob(20))), lower(hex(randomblob(16))),
             ?, 'jpeg', 160, 120, randomblob(4), 1 FROM numbers`,
        )
        .run(more, BYTES);
      database
        .prepare(
          `INSERT INTO entries (bucket, key, state, epoch, blob, via, origin_url, fetched_at, modified_at, stored_at)
           SELECT buckets.id, ? || lower(hex(randomblob(16))) || '.jpg', 'object', 0, blobs.id, 'mirror',
             'http://127.0.0.1:8080/seeded.jpg', 1700000000000, 1700000000000, 1700000000000
           FROM blobs, (SELECT id FROM buckets LIMIT 1) AS buckets WHERE blobs.id > ?`,
        )
        .run(`${BYTES}/`, last);
      database.prepare("UPDATE buckets SET objects = objects + ?, bytes = bytes + ?").run(more, more * BYTES);
    });
  } finally {
    database.close();
  }
}
