// Measures what a request costs at each front door: `npx tsx test/bench/front-door.ts [ROUNDS] [OTHER_MAIN]`. For
// decision 1. The front doors are node:http alone, Hono without the fast path, and the fast path. OTHER_MAIN:
// dist/main.js of another build, which takes part too. Needs wrk and a second core; run `npm run build` before it.
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../helpers/program.ts";
import { among, type Contender, startBareNode, startHuiyuan, startOrigin } from "./contenders.ts";
import { byWrk, costOf, type Drive, median, verify } from "./load.ts";
import { middleOf } from "./pairs.ts";
import { pictureOf } from "./pictures.ts";

const BYTES = 20_000;
const SECONDS = 1;
const HIT = `/${BYTES}/hit-0.jpg`;
const [rounds = "10", main] = process.argv.slice(2);

/** Loads each one together with the first, so that other work on the machine slows both down, and prints the ratios. */
async function compare(what: string, [first, ...others]: readonly Contender[], drive: Drive): Promise<void> {
  if (first === undefined) return;
  for (const contender of [first, ...others]) await drive(contender, SECONDS);
  for (const other of others) {
    const pairs: (readonly [number, number])[] = [];
    while (pairs.length < Number(rounds))
      pairs.push(await Promise.all([costOf(first, drive, SECONDS), costOf(other, drive, SECONDS)]));
    const { median: ratio, from, to } = middleOf(pairs.map(([base, each]) => each / base));
    const [base, each] = [0, 1].map((at) => median(pairs.map((pair) => pair[at] as number)).toFixed(1)); // two each
    console.log(`${what}, ${other.name} ÷ ${first.name}: ${each} ÷ ${base} µs`);
    console.log(`  ratio ${ratio.toFixed(3)} (95 %: ${from.toFixed(3)} to ${to.toFixed(3)})`);
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
      () => startHuiyuan({ ...place, name: "fast path" }),
      () => startHuiyuan({ ...place, name: "Hono", env: off }),
      ...(main === undefined ? [] : [() => startHuiyuan({ ...place, name: "the other build", main })]),
      () => startBareNode(HIT),
    ],
    async (contenders) => {
      const picture = await pictureOf(BYTES);
      const servers = contenders.slice(0, -1);
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
