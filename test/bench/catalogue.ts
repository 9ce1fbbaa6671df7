// Measures the space of stored images and the start of a program that has many: bytes of the catalogue an object,
// bytes of packs beyond the images themselves, time to ready, and memory after it.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Bench, Outcome, Verdict } from "./case.ts";
import { among, startHuiyuan } from "./contenders.ts";
import { MB } from "./memory.ts";
import { idle, residentBytes } from "./processes.ts";
import { BYTES, fill, grownCopy, scattered } from "./scale.ts";

const REST_MS = 3_000;

export async function spaceByObjects(objects: number, { place, effort }: Bench): Promise<Outcome> {
  const [stored, grown] = effort.isQuick ? [1_000, objects / 10] : [10_000, objects];
  const paths = Array.from({ length: stored }, (_, index) => `/${BYTES}/${scattered(index)}.jpg`);
  const empty = join(place.folder, "empty");
  await fill({ ...place, data: empty }, []);
  const first = join(place.folder, "stored");
  await fill({ ...place, data: first }, paths);
  const many = join(place.folder, "many");
  await grownCopy(first, many, grown - stored);
  const perObject = async (data: string, count: number) =>
    ((await catalogueBytes(data)) - (await catalogueBytes(empty))) / count;
  const plain = (what: string, value: number, unit: Verdict["unit"]): Verdict => ({
    what,
    value,
    unit,
    target: undefined,
  });
  const verdicts = [
    plain(`catalogue an object, ${stored} stored by the program`, await perObject(first, stored), "bytes"),
    plain(`catalogue an object, ${grown} rows`, await perObject(many, grown), "bytes"),
    plain(
      `packs an image beyond its ${BYTES} bytes`,
      (await folderBytes(join(first, "packs"))) / stored - BYTES,
      "bytes",
    ),
  ];
  for (const [data, count] of [
    [first, stored],
    [many, grown],
  ] as const) {
    const since = performance.now();
    await among([() => startHuiyuan({ ...place, data })], async ([huiyuan]) => {
      verdicts.push(plain(`start with ${count} objects`, performance.now() - since, "ms"));
      await idle(huiyuan.pid);
      await delay(REST_MS);
      verdicts.push(plain(`memory at rest with ${count} objects`, residentBytes(huiyuan.pid).now / MB, "MB"));
    });
  }
  return { title: "space by objects", figures: [], verdicts };
}

async function catalogueBytes(data: string): Promise<number> {
  return (await stat(join(data, "catalogue.db"))).size;
}

async function folderBytes(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
