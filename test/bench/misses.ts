// Measures misses: each request has a new key and new bytes, which are fetched, sent and stored. Also measures the
// added time to the first byte, and the origin's requests if many clients want one key at once.
import { connect, type Socket } from "node:net";
import { get } from "../helpers/get.ts";
import { eventually } from "../helpers/program.ts";
import { type Bench, type Outcome, ratios, type Target, type Verdict } from "./case.ts";
import {
  among,
  type Contender,
  type HuiyuanContender,
  MISS_FLOOR,
  startHuiyuan,
  startMissFloor,
  startNginxCache,
  startVarnish,
} from "./contenders.ts";
import { sizeName } from "./hits.ts";
import { byWrk, compare, median, verify } from "./load.ts";
import { pictureOf } from "./pictures.ts";

/** `target`: against the floor, a bare program on the same runtime. nginx and Varnish are for information. */
interface MissCase {
  readonly bytes: number;
  readonly target: Target | undefined;
}

export const STORED_MISSES: readonly MissCase[] = [
  { bytes: 20_000, target: { must: 2.5, aim: 1.6 } },
  { bytes: 100_000, target: undefined },
];

/** Factor of the warm-up time: V8 has compiled the code of a miss after some 20,000 of them. */
const WARM_UP = 4;

/** The figure includes storing, which happens after the response; the case checks that everything was stored. */
export async function storedMisses({ bytes, target }: MissCase, { place, effort: usual }: Bench): Promise<Outcome> {
  const title = `miss ${sizeName(bytes)}, stored`;
  const effort = { ...usual, warmUpSeconds: WARM_UP * usual.warmUpSeconds };
  const against = (others: readonly (() => Promise<Contender>)[]) =>
    among([() => startHuiyuan(place), ...others], async (contenders) => {
      const huiyuan = contenders[0];
      const path = `/${bytes}/first.jpg`;
      const picture = await pictureOf(bytes);
      for (const contender of contenders) await verify(contender, path, picture.for(path));
      let before = await storedBy(huiyuan);
      return compare(contenders, byWrk({ kind: "new", bytes }), effort, async (contender, requests) => {
        if (contender !== huiyuan) return;
        // wrk does not count the requests in progress at its end; those objects are stored too.
        await eventually(async () => (await storedBy(huiyuan)) - before >= requests, "every miss is stored", 120_000);
        before = await storedBy(huiyuan);
      });
    });
  // Apart, because what nginx has not synced is written to the disk during the rounds of the others.
  const judged = await against([() => startMissFloor(place)]);
  const informed = await against(proxies(place));
  const verdicts = [...ratios(title, judged, MISS_FLOOR, target), ...ratios(title, informed, "")];
  return { title, figures: [...judged, ...informed.slice(1)], verdicts };
}

function proxies(place: Bench["place"]) {
  return [() => startNginxCache(place), () => startVarnish(place)] as const;
}

async function storedBy(huiyuan: HuiyuanContender): Promise<number> {
  const { body } = await get({ port: huiyuan.adminPort, path: "/metrics", host: "127.0.0.1" });
  return Number(/^huiyuan_stored_total (\d+)/m.exec(body.toString())?.[1] ?? 0);
}

/** Microseconds on the machine where the targets were set, and Varnish's added time there. */
const ADDED_TIME = { must: 250, aim: 150 };
const VARNISH_ADDS = 141;

/** Sequential requests over one connection, compared to the same requests to the origin itself. */
export function addedTime({ place, effort }: Bench): Promise<Outcome> {
  const direct = { name: "the origin itself", port: place.originPort };
  const [rounds, each, warmUp] = effort.isQuick ? [5, 60, 500] : [10, 100, 4_000];
  return among([() => startHuiyuan(place), ...proxies(place)], async (contenders) => {
    const times = new Map<string, number[]>();
    for (let round = 0; round < rounds; round += 1) {
      for (const { name, port } of [direct, ...contenders]) {
        const pathOf = (index: number) => `/20000/time-${round}-${index}.jpg`;
        // The first round warms up. It is long, because sequential requests compile the code slowly.
        const micros = await timesToFirstByte(port, pathOf, round === 0 ? warmUp : each);
        if (round > 0) times.set(name, [...(times.get(name) ?? []), ...micros]);
      }
    }
    const base = median(times.get(direct.name) ?? []);
    const added = (name: string) => median(times.get(name) ?? []) - base;
    // Microseconds depend on the machine and are only reported; the ratio is judged.
    const verdicts = contenders.map(
      ({ name }): Verdict => ({
        what: `added time to first byte on a miss, p50, ${name}`,
        value: added(name),
        unit: "µs",
        target: undefined,
      }),
    );
    const ratio: Verdict = {
      what: "added time to first byte on a miss, p50: Huiyuan ÷ Varnish's",
      value: added("Huiyuan") / added("Varnish"),
      unit: "×",
      target: { must: ADDED_TIME.must / VARNISH_ADDS, aim: ADDED_TIME.aim / VARNISH_ADDS },
    };
    return { title: "added time to first byte", figures: [], verdicts: [...verdicts, ratio] };
  });
}

async function timesToFirstByte(port: number, pathOf: (index: number) => string, count: number): Promise<number[]> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  try {
    const times: number[] = [];
    for (let index = 0; index < count; index += 1) times.push(await timeOne(socket, pathOf(index)));
    return times;
  } finally {
    socket.destroy();
  }
}

/** Microseconds from sending a request to the first byte of its response; resolves after the whole response. */
export function timeOne(socket: Socket, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let head = "";
    let wanted = Number.POSITIVE_INFINITY;
    let received = 0;
    let micros = 0;
    const began = process.hrtime.bigint();
    const take = (chunk: Buffer) => {
      if (received === 0) micros = Number(process.hrtime.bigint() - began) / 1_000;
      received += chunk.length;
      if (wanted === Number.POSITIVE_INFINITY) {
        head += chunk.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!head.startsWith("HTTP/1.1 200")) return finish(new Error(`${path}: ${head.slice(0, 40)}`));
        wanted = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
      }
      if (received >= wanted) finish();
    };
    const finish = (error?: Error) => {
      socket.off("data", take);
      socket.off("close", broken);
      if (error === undefined) resolve(micros);
      else reject(error);
    };
    const broken = () => finish(new Error(`${path}: the connection closed`));
    socket.on("data", take);
    socket.once("close", broken);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: any.example\r\n\r\n`);
  });
}

/** 50 concurrent clients for an uncached key; reports the worst of several keys. */
export function coldClients({ place, origin }: Bench): Promise<Outcome> {
  const bytes = 100_000;
  return among([() => startHuiyuan(place)], async ([huiyuan]) => {
    const picture = await pictureOf(bytes);
    let worst = 0;
    for (let key = 0; key < 10; key += 1) {
      const path = `/late/${bytes}/cold-${key}.jpg`;
      const before = await origin.asked();
      await Promise.all(Array.from({ length: 50 }, () => verify(huiyuan, path, picture.for(path))));
      worst = Math.max(worst, (await origin.asked()) - before);
    }
    const what = "50 cold clients for one key: requests at the origin";
    const verdict: Verdict = { what, value: worst, unit: "requests", target: { must: 1, aim: 1 } };
    return { title: "cold clients", figures: [], verdicts: [verdict] };
  });
}
