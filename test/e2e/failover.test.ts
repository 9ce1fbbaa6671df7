// Several real origins behind one domain, stopped and restarted: the origin that is chosen, the responses meanwhile,
// and how the breaker opens and closes again. Breaker and budget over real sockets.
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS, oneBucket } from "../helpers/settings.ts";

/** Longer than a busy machine needs for a good response; no test here waits for one of them to elapse. */
const TIMEOUTS = { connect: "5s", firstByte: "8s", idle: "8s", total: "20s" };
/** `open` shorter than any test waits. */
const BREAKER = { failures: 3, within: "10s", open: "1s" };
const NEVER_OPEN = { failures: 10_000, within: "1s", open: "1s" };

let jpeg: Buffer;
/** Run after each test, and after all tests. */
const clean: (() => unknown)[] = [];
const cleanAll: (() => unknown)[] = [];

beforeAll(async () => {
  jpeg = await noisyJpeg(160, 120);
});
afterEach(async () => {
  for (const step of clean.splice(0).reverse()) await step();
});
afterAll(async () => {
  for (const step of cleanAll.splice(0).reverse()) await step();
});

async function startWith(settings: object): Promise<{ installation: Installation; program: Program }> {
  const installation = await install(settings);
  clean.push(() => installation.remove());
  const program = await installation.start();
  clean.push(() => program.stop());
  return { installation, program };
}

const site = (url: string, more: object = {}) => ({ type: "site", url, allowPrivate: true, ...more });

/** Status and X-ErrNo; 200 stands for a whole and correct picture. */
function outcomeOf({ status, headers, body, isWhole }: GetResult): string {
  if (status === 200) return isWhole && body.equals(jpeg) ? "200" : "200 but not the picture";
  return `${status} ${headers["x-errno"]}`;
}

async function metric(program: Program, name: string): Promise<number> {
  const { body } = await get({ port: program.adminPort, path: "/metrics", host: "localhost" });
  const line = body
    .toString()
    .split("\n")
    .find((each) => each.startsWith(`huiyuan_${name} `) || each.startsWith(`huiyuan_${name}{`));
  return Number(line?.split(" ").at(-1) ?? Number.NaN);
}

describe("three nginx", needs("nginx"), () => {
  let folder: string;
  let first: Nginx;
  let second: Nginx;
  let standby: Nginx;
  let number = 0;
  const all = () => [first, second, standby];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "huiyuan-failover-"));
    await writeFile(join(folder, "image.jpg"), jpeg);
    [first, second, standby] = (await Promise.all([1, 2, 3].map(() => startNginx({ root: folder })))) as [
      Nginx,
      Nginx,
      Nginx,
    ];
  });
  afterAll(async () => {
    await Promise.all(all().map((nginx) => nginx?.remove()));
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() =>
    Promise.all(
      all().map(async (nginx) => {
        await nginx.stop();
        await nginx.start();
      }),
    ),
  );

  /** A path that no bucket has stored yet. */
  async function fresh(): Promise<string> {
    number += 1;
    const path = `/image-${number}.jpg`;
    await copyFile(join(folder, "image.jpg"), join(folder, path));
    return path;
  }

  /** Counts the requests to each nginx during `work`, which must cause `total` requests. */
  async function requestsDuring(total: number, work: () => Promise<unknown>): Promise<number[]> {
    const lines = () => Promise.all(all().map(async (nginx) => (await nginx.accessLog()).length));
    const before = await lines();
    await work();
    let counts: number[] = [];
    // A response may arrive before nginx has written its log line.
    await eventually(async () => {
      counts = (await lines()).map((count, index) => count - (before[index] ?? 0));
      return counts.reduce((sum, count) => sum + count, 0) >= total;
    }, `nginx has got ${total} requests`);
    return counts;
  }

  test("get requests in their order, the standby last, and the first is used again once it recovers", async () => {
    const origins = [site(standby.url, { standby: true }), site(first.url), site(second.url)];
    const mirror = { origins, timeouts: TIMEOUTS, breaker: BREAKER };
    const { program } = await startWith(oneBucket(mirror));
    const miss = async (expected: string) =>
      expect(outcomeOf(await get({ port: program.downloadPort, path: await fresh() }))).toBe(expected);
    const misses = (count: number) =>
      requestsDuring(count, async () => {
        for (let index = 0; index < count; index += 1) await miss("200");
      });

    expect(await misses(3)).toEqual([3, 0, 0]);
    await first.stop();
    expect(await misses(6)).toEqual([0, 6, 0]);
    await second.stop();
    expect(await misses(6)).toEqual([0, 0, 6]);
    await standby.stop();
    await miss("424 -902");
    await standby.start();
    expect(await misses(1)).toEqual([0, 0, 1]);

    await Promise.all([first.start(), second.start()]);
    await eventually(async () => (await misses(1))[0] === 1, "the first is used again");
    expect(await misses(3)).toEqual([3, 0, 0]);
    expect(await metric(program, "failovers_total")).toBeGreaterThanOrEqual(12);
    // The second is probed only when it is next needed.
    expect(program.output.match(/an origin answers again/g)).toHaveLength(1);
  });

  test("share the fetches by weight", async () => {
    const origins = [site(first.url, { weight: 3 }), site(second.url, { weight: 1 }), site(standby.url)];
    const { program } = await startWith(oneBucket({ origins, timeouts: TIMEOUTS }));
    const [heavy = 0, light = 0, last] = await requestsDuring(80, async () => {
      for (let index = 0; index < 80; index += 1) await get({ port: program.downloadPort, path: await fresh() });
    });
    expect(heavy + light).toBe(80);
    // Five standard deviations about 60.
    expect(heavy).toBeGreaterThan(40);
    expect(light).toBeGreaterThan(3);
    expect(last).toBe(0);
  });

  test("the next gets the request for an image that the first lacks only if failoverOn says so", async () => {
    const lacking = await scripted({ "*": [response("no", { status: "404 Not Found" })] });
    const mirror = (failoverOn: readonly unknown[]) => ({
      origins: [site(lacking.url), site(second.url)],
      timeouts: TIMEOUTS,
      failoverOn,
    });
    const { program, installation } = await startWith(oneBucket(mirror(["5xx"])));
    const path = await fresh();
    expect(outcomeOf(await get({ port: program.downloadPort, path }))).toBe("404 -6101");
    await installation.write(oneBucket(mirror([404])));
    await eventually(
      async () => outcomeOf(await get({ port: program.downloadPort, path })) === "200",
      "settings are in force",
    );
  });

  test("stored images are served and misses fail at once while all are down", async () => {
    const mirror = { origins: [site(first.url), site(second.url, { standby: true })], timeouts: TIMEOUTS };
    const settings = oneBucket(
      { ...mirror, breaker: { ...BREAKER, open: "1m" } },
      {},
      { server: { accessLog: "all" } },
    );
    const { program, installation } = await startWith(settings);
    const { downloadPort: port } = program;
    const kept = await Promise.all([1, 2, 3, 4].map(fresh));
    for (const path of kept) expect(outcomeOf(await get({ port, path }))).toBe("200");
    await Promise.all([first.stop(), second.stop()]);

    for (let index = 0; index < 5; index += 1)
      expect(outcomeOf(await get({ port, path: await fresh() }))).toBe("424 -902");
    for (let index = 0; index < 40; index += 1) {
      const answer = await get({ port, path: `/none-${index}.jpg` });
      expect(outcomeOf(answer)).toBe("424 -902");
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(50);
    }
    for (let index = 0; index < 40; index += 1)
      expect(outcomeOf(await get({ port, path: kept[index % 4] ?? "" }))).toBe("200");
    const medianMs = (pattern: RegExp) => {
      const found = [...program.output.matchAll(pattern)].map((match) => Number(match[1])).sort((a, b) => a - b);
      expect(found.length).toBeGreaterThanOrEqual(40);
      return found[Math.floor(found.length / 2)] ?? 0;
    };
    const hitMs = medianMs(/"status":200,.*"milliseconds":([\d.]+)/g);
    expect(medianMs(/"code":"origin_failing","milliseconds":([\d.]+)/g)).toBeLessThan(5 + 10 * hitMs);
    expect(await metric(program, `origin_breaker`)).toBe(2);

    // A reload of other settings keeps both breakers open.
    await installation.write({ ...settings, limits: { fills: 100 } });
    await eventually(() => program.output.includes("new settings are in force"), "the new settings are in force");
    expect((await get({ port, path: "/none.jpg" })).headers["retry-after"]).toBeDefined();
  });
});

/** A program with one mirror for each host. */
async function startMirrors(mirrors: Readonly<Record<string, object>>): Promise<Program> {
  const domains = Object.entries(mirrors).map(([host, mirror]) => ({ host, mirror }));
  const buckets = [{ name: "photos", domains }];
  const installation = await install({ projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] });
  cleanAll.push(() => installation.remove());
  const program = await installation.start();
  cleanAll.push(() => program.stop());
  return program;
}

async function scripted(...args: Parameters<typeof startScriptedOrigin>): Promise<ScriptedOrigin> {
  const origin = await startScriptedOrigin(...args);
  cleanAll.push(() => origin.close());
  return origin;
}

describe("a breaker", () => {
  let isWell = false;
  let recovering: ScriptedOrigin;
  let choking: ScriptedOrigin;
  let hung: ScriptedOrigin;
  let program: Program;
  const ask = (host: string, path: string) => get({ port: program.downloadPort, host, path });

  beforeAll(async () => {
    recovering = await scripted(async (_request, connection) => {
      if (isWell) await connection.send(response(jpeg));
      else await connection.send(response("no", { status: "503 Unavailable" }));
    });
    choking = await scripted({ "/bad.jpg": [response("no", { status: "500 Oops" })], "*": [response(jpeg)] });
    hung = await scripted((_request, connection) => connection.hang());
    const shared = { origins: [site(recovering.url)], timeouts: TIMEOUTS, breaker: BREAKER };
    program = await startMirrors({
      "one.test": shared,
      "two.test": shared,
      "choking.test": { origins: [site(choking.url)], timeouts: TIMEOUTS, breaker: { ...BREAKER, failures: 1 } },
      "hung.test": {
        origins: [site(hung.url, { connections: 4 })],
        timeouts: { connect: "1s", firstByte: "1s", idle: "1s", total: "4s" },
        breaker: { ...BREAKER, open: "30s" },
      },
    });
  });

  test("is shared by all domains that name the origin, and one probe closes it", async () => {
    for (const path of ["/1.jpg", "/2.jpg"]) expect(outcomeOf(await ask("one.test", path))).toBe("424 -120");
    // The request that opens it gets the same code as the later ones.
    expect(outcomeOf(await ask("one.test", "/3.jpg"))).toBe("424 -902");
    expect(outcomeOf(await ask("two.test", "/4.jpg"))).toBe("424 -902");
    expect(recovering.requests).toHaveLength(3);

    isWell = true;
    // Many requests arrive at once when its time is over: one of them is the probe.
    await eventually(async () => outcomeOf(await ask("two.test", "/5.jpg")) === "200", "the origin is used again");
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => ask("one.test", `/many-${index}.jpg`)));
    expect(answers.map(outcomeOf)).toEqual(Array(20).fill("200"));
  });

  test("is not opened by one image that makes the origin fail", async () => {
    for (let index = 0; index < 3; index += 1) {
      expect(outcomeOf(await ask("choking.test", "/bad.jpg"))).toBe("424 -120");
      await eventually(async () => {
        await ask("choking.test", "/bad.jpg");
        return choking.requests.length > index;
      }, "its cached failure has expired");
    }
    expect(outcomeOf(await ask("choking.test", "/good.jpg"))).toBe("200");
  });

  test("opens on an origin that accepts connections and never responds, and releases the waiting requests", async () => {
    const outputBefore = program.output.length;
    const askHung = (index: number) => ask("hung.test", `/hung-${index}.jpg`);
    const startedAt = performance.now();
    const times: number[] = [];
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const answer = await askHung(index);
        times.push(performance.now() - startedAt);
        return answer;
      }),
    );
    // A request gets 503 if its wait for a connection timed out first.
    for (const answer of answers) expect(["424 -902", "503 -902"]).toContain(outcomeOf(answer));
    // Queued requests do not each wait for their turn: 60 in groups of 4 would take 15 times as long as the first one.
    expect(Math.max(...times)).toBeLessThan(6 * Math.min(...times));
    expect(hung.requests.length).toBeLessThanOrEqual(8);
    const later = await askHung(1_000);
    expect([outcomeOf(later), Number(later.headers["retry-after"]) > 20]).toEqual(["424 -902", true]);
    // Three lines of each kind, not sixty.
    expect(program.output.slice(outputBefore).match(/could not be fetched/g)?.length ?? 0).toBeLessThanOrEqual(6);
  });
});

// Concurrent: most of the time they wait for a rate or for Retry-After, each with an origin of its own.
describe.concurrent("a budget", () => {
  let lastAt = 0;
  let open = 0;
  let most = 0;
  const busy = { seconds: true, date: true };
  let unavailable: Readonly<Record<keyof typeof busy, ScriptedOrigin>>;
  let program: Program;
  const ask = (host: string, path: string) => get({ port: program.downloadPort, host, path });

  beforeAll(async () => {
    const paced = await scripted(async (_request, connection) => {
      lastAt = performance.now();
      await connection.send(response(jpeg));
    });
    const narrow = await scripted(async (_request, connection) => {
      open += 1;
      most = Math.max(most, open);
      await connection.pause(30);
      open -= 1;
      await connection.send(response(jpeg));
    });
    const busyOrigin = (kind: keyof typeof busy, status: string, retryAfter: () => string) =>
      scripted((_request, connection) => {
        const headers = { "Retry-After": retryAfter() };
        return connection.send(busy[kind] ? response("no", { status, headers }) : response(jpeg));
      });
    unavailable = {
      seconds: await busyOrigin("seconds", "429 Too Many Requests", () => "2"),
      date: await busyOrigin("date", "503 Unavailable", () => new Date(Date.now() + 3_000).toUTCString()),
    };
    const shared = { origins: [site(narrow.url, { connections: 3 })], timeouts: TIMEOUTS };
    program = await startMirrors({
      "paced.test": { origins: [site(paced.url, { requestsPerSecond: 20 })], timeouts: TIMEOUTS },
      "one.test": shared,
      "two.test": shared,
      "seconds.test": { origins: [site(unavailable.seconds.url)], timeouts: TIMEOUTS, breaker: NEVER_OPEN },
      "date.test": { origins: [site(unavailable.date.url)], timeouts: TIMEOUTS, breaker: NEVER_OPEN },
    });
  });

  test("sends requests at its rate and loses none", async () => {
    const askedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => ask("paced.test", `/paced-${index}.jpg`)),
    );
    expect(answers.map(outcomeOf)).toEqual(Array(50).fill("200"));
    // 20 at once, then 30 more at 20 a second: 1.5 s after the first, which was not sent before `askedAt`.
    expect(lastAt - askedAt).toBeGreaterThan(1_450);
  });

  test("limits connections over all domains", async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => ask(index % 2 === 0 ? "one.test" : "two.test", `/narrow-${index}.jpg`)),
    );
    expect(answers.map(outcomeOf)).toEqual(Array(40).fill("200"));
    expect(most).toBe(3);
  });

  test.each([
    ["429 Too Many Requests", "seconds"],
    ["503 Unavailable", "date"],
  ] as const)("sends the origin no request after %s with Retry-After as %s", async (_status, kind) => {
    const host = `${kind}.test`;
    const startedAt = performance.now();
    expect(outcomeOf(await ask(host, `/${kind}-first.jpg`))).toBe("424 -120");
    busy[kind] = false;
    for (let index = 0; index < 10; index += 1) {
      const answer = await ask(host, `/${kind}-${index}.jpg`);
      expect(outcomeOf(answer)).toBe("424 -902");
      expect(["1", "2", "3"]).toContain(answer.headers["retry-after"]);
    }
    expect(unavailable[kind].requests).toHaveLength(1);
    await eventually(
      async () => outcomeOf(await ask(host, `/${kind}-later.jpg`)) === "200",
      "the origin is used again",
    );
    expect(performance.now() - startedAt).toBeGreaterThan(1_500);
  });
});
