// Measures what a request costs at each front door: `npx tsx test/bench/front-door.ts [ROUNDS] [OTHER_MAIN]`. For
// decision 1. The front doors are node:http alone, Hono without the fast path, and the fast path. OTHER_MAIN:
// dist/main.js of another build, which takes part too. Needs wrk and a second core; run `npm run build` before it.
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../helpers/program.ts";
import { among, type Contender, startBareNode, startHuiyuan, startOrigin } from "./contenders.ts";
import { byWrk, type Drive, median, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";
import { cpuMicros, idle } from "./processes.ts";

const BYTES = 20_000;
const SECONDS = 1;
const HIT = `/${BYTES}/hit-0.jpg`;
const [rounds = "10", main] = process.argv.slice(2);

/** CPU time per request, µs, with the work after the responses. */
async function cost(contender: Contender, drive: Drive): Promise<number> {
  await idle(contender.pid);
  const before = cpuMicros(contender.pid);
  const { requests } = await drive(contender, SECONDS);
  await idle(contender.pid);
  return (cpuMicros(contender.pid) - before) / requests;
}

/** Loads all in turn, in the opposite order each other round, and prints each one's ratio to the last one. */
async function compare(what: string, contenders: readonly Contender[], drive: Drive): Promise<void> {
  const costs = new Map<Contender, number[]>(contenders.map((contender) => [contender, []]));
  for (const contender of contenders) await drive(contender, SECONDS);
  for (let round = 0; round < Number(rounds); round += 1) {
    const order = round % 2 === 0 ? contenders : [...contenders].reverse();
    for (const contender of order) costs.get(contender)?.push(await cost(contender, drive));
  }
  const last = costs.get(contenders.at(-1) as Contender) ?? [];
  for (const [{ name }, list] of costs) {
    const ratios = list.map((each, round) => each / (last[round] ?? Number.NaN));
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    const deviation = Math.sqrt(ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / (ratios.length - 1));
    // Student's t for about ten rounds.
    const half = (2.26 * deviation) / Math.sqrt(ratios.length);
    const interval = `${(mean - half).toFixed(3)}–${(mean + half).toFixed(3)}`;
    console.log(`${what}, ${name}: ${median(list).toFixed(2)} µs, ratio ${mean.toFixed(3)} (95 %: ${interval})`);
  }
}

const folder = await mkdtemp(join(tmpdir(), "huiyuan-front-door-"));
const origin = await startOrigin();
console.log(`load average at the start: ${loadavg().map((load) => load.toFixed(1))}`);
try {
  const place = { folder, originPort: origin.port };
  const off = { HUIYUAN_FAST_PATH: "off" };
  await among(
    [
      () => startBareNode(HIT),
      () => startHuiyuan({ ...place, name: "Hono", env: off }),
      () => startHuiyuan({ ...place, name: "fast path" }),
      ...(main === undefined ? [] : [() => startHuiyuan({ ...place, name: "the other build", main })]),
    ],
    async (contenders) => {
      const picture = await pictureOf(BYTES);
      const [, ...servers] = contenders;
      for (const server of servers) {
        const isHit = async () => (await verify(server, HIT, picture.for(HIT))).includes("detail=memory");
        await eventually(isHit, `a hit of ${server.name} from memory`);
      }
      await compare("memory hit", contenders, byWrk({ kind: "one", path: HIT }));
      await compare("miss", servers, byWrk({ kind: "new", bytes: BYTES }));
    },
  );
} finally {
  await origin.stop();
  await rm(folder, { recursive: true, force: true });
}
