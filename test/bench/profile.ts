// Shows where the main thread's time goes, for memory hits, disk hits and stored misses of 20 KB:
// `npx tsx test/bench/profile.ts [SECONDS]`. Needs wrk and a second core; run `npm run build` before it. V8's profiler
// samples the program. A row is a room of the source, or of Node. `own`: its functions alone. `with calls`: also what
// they call in Node and packages. Both are shares of the time in which the thread was busy.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Contender, startHuiyuan, startOrigin } from "./contenders.ts";
import { byWrk, type Drive, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";

const BYTES = 20_000;
const KEYS = 1_000;
const [seconds = "8"] = process.argv.slice(2);

interface Profile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds. */
  readonly endTime: number;
  readonly startTime: number;
  /** Ids of nodes, and the microseconds before each. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

/** `serve/http/wire`, `node:net`, `undici`, or V8's own word, such as `(garbage collector)`. */
function roomOf({ callFrame: { functionName, url } }: ProfileNode): string {
  const own = /\/dist\/((?:serve\/)?[^/]+(?:\/(?!\w+\.js)[^/]+)?)/.exec(url)?.[1];
  if (own !== undefined) return own.replace(/\.js$/, "");
  const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (name !== undefined) return name;
  return url.startsWith("node:") ? url.split("/").slice(0, 2).join("/") : functionName || "(native)";
}

const isOurs = (room: string) => /^(?:serve|operate|core|async|sqlite|ledger|settings|app|main)\b/.test(room);

/** Shares of the busy time in the last `span` microseconds. */
function sharesOf(profile: Profile, span: number) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const callers = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const owner = (id: number): string => {
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) {
      const room = roomOf(nodes.get(at) as ProfileNode); // Each caller is in the list.
      if (isOurs(room)) return room;
    }
    return roomOf(nodes.get(id) as ProfileNode);
  };
  const rows = new Map<string, { own: number; all: number }>();
  const row = (room: string) => rows.get(room) ?? rows.set(room, { own: 0, all: 0 }).get(room) ?? { own: 0, all: 0 };
  let busy = 0;
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const passed = profile.timeDeltas[index] ?? 0;
    at += passed;
    const room = roomOf(nodes.get(id) as ProfileNode);
    if (at < profile.endTime - span || room === "(idle)") continue;
    busy += passed;
    row(room).own += passed;
    row(owner(id)).all += passed;
  }
  return [...rows]
    .map(([room, { own, all }]) => ({ room, own: (100 * own) / busy, all: (100 * all) / busy }))
    .filter(({ own, all }) => Math.max(own, all) >= 0.5)
    .sort((a, b) => b.all - a.all || b.own - a.own);
}

async function profiled(what: string, limits: object, prepare: (it: Contender) => Promise<void>, drive: Drive) {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-profile-"));
  const origin = await startOrigin();
  try {
    const nodeFlags = ["--cpu-prof", `--cpu-prof-dir=${folder}/profiles`];
    const huiyuan = await startHuiyuan({ folder, originPort: origin.port, limits, nodeFlags });
    await prepare(huiyuan);
    await drive(huiyuan, Number(seconds) / 2);
    const { requests } = await drive(huiyuan, Number(seconds));
    await huiyuan.stop();
    // The main thread's number is 0.
    const file = (await readdir(`${folder}/profiles`)).find((name) => name.split(".").at(-3) === "0") ?? "";
    const profile = JSON.parse(await readFile(`${folder}/profiles/${file}`, "utf8")) as Profile;
    console.log(`\n${what}: ${Math.round(requests / Number(seconds))} a second\n  own % with calls %`);
    for (const { room, own, all } of sharesOf(profile, 1e6 * Number(seconds)))
      console.log(`  ${own.toFixed(1).padStart(5)} ${all.toFixed(1).padStart(12)}  ${room}`);
  } finally {
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const picture = await pictureOf(BYTES);
const paths = Array.from({ length: KEYS }, (_, index) => `/${BYTES}/hit-${index}.jpg`);
const fill = async (huiyuan: Contender) => {
  for (const path of paths) await verify(huiyuan, path, picture.for(path));
  await delay(1_000); // until the last one is stored
};
await profiled("memory hit", {}, fill, byWrk({ kind: "one", path: paths[0] as string }));
await profiled("disk hit", { memory: "1MiB" }, fill, byWrk({ kind: "random", paths }));
await profiled("stored miss", {}, fill, byWrk({ kind: "new", bytes: BYTES }));
