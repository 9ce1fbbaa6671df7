// Compares the program on two versions of Node, both beside nginx in one run: `npx tsx test/bench/node-versions.ts NODE
// [ROUNDS]`. NODE: the path of another node. Needs nginx, wrk and a second core; run `npm run build` before it.
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { among, startHuiyuan, startNginxCache, startOrigin } from "./contenders.ts";
import { byWrk, costOf, verify } from "./load.ts";
import { middleOf } from "./pairs.ts";
import { pictureOf } from "./pictures.ts";
import { outputOf } from "./processes.ts";

const [node = "", rounds = "7"] = process.argv.slice(2);
const SECONDS = 3;
const KEYS = 1_500;
const versions = [process.version, outputOf(node, ["--version"]).trim()];

interface Case {
  readonly what: string;
  readonly bytes: number;
  readonly kind: "memory" | "disk" | "miss";
}

const CASES: readonly Case[] = [
  { what: "signed hit from memory, 20 KB", bytes: 20_000, kind: "memory" },
  { what: "signed hit from memory, 100 KB", bytes: 100_000, kind: "memory" },
  { what: "hit from disk, 100 KB", bytes: 100_000, kind: "disk" },
  { what: "miss, 20 KB, stored", bytes: 20_000, kind: "miss" },
];

const interval = (values: readonly number[]) => {
  const { median, from, to } = middleOf(values);
  return `${median.toFixed(2)} (${from.toFixed(2)} to ${to.toFixed(2)})`;
};

async function measure({ what, bytes, kind }: Case, originPort: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-node-versions-"));
  const place = { folder, originPort, isSigned: kind === "memory", limits: kind === "disk" ? { memory: "1MiB" } : {} };
  const starts = [() => startHuiyuan(place), () => startHuiyuan({ ...place, name: "other", node })] as const;
  await among([...starts, () => startNginxCache(place)], async (contenders) => {
    const picture = await pictureOf(bytes);
    const paths = Array.from({ length: kind === "disk" ? KEYS : 1 }, (_, index) => `/${bytes}/hit-${index}.jpg`);
    for (const each of contenders) for (const path of paths) await verify(each, path, picture.for(path));
    await delay(1_000); // until all are stored
    const random = { kind: "random", paths } as const;
    const drive = byWrk(
      kind === "miss" ? { kind: "new", bytes } : kind === "disk" ? random : { kind: "one", path: paths[0] ?? "" },
    );
    for (const each of contenders) await drive(each, 2 * SECONDS);
    const costs: number[][] = [];
    while (costs.length < Number(rounds)) {
      const round: number[] = [];
      for (const each of contenders) round.push(await costOf(each, drive, SECONDS));
      costs.push(round);
    }
    const against = (one: number, other: number) => interval(costs.map((round) => round[one]! / round[other]!));
    console.log(`| ${what} | ${against(0, 2)} | ${against(1, 2)} | ${against(1, 0)} |`);
  });
  await rm(folder, { recursive: true, force: true });
}

const origin = await startOrigin();
console.log(`load average at the start: ${loadavg().map((load) => load.toFixed(1))}; ${rounds} rounds of ${SECONDS} s`);
console.log(`| request | ${versions[0]} ÷ nginx | ${versions[1]} ÷ nginx | ${versions[1]} ÷ ${versions[0]} |`);
console.log("| --- | --- | --- | --- |");
try {
  for (const each of CASES) await measure(each, origin.port);
} finally {
  await origin.stop();
}
