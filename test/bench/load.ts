// Drives load with wrk or another tool, and measures the server's CPU time per request. The time is read from the
// server's own processes, so that it stays correct if the load tool shares the machine. Contenders take turns within
// one run.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { get } from "../helpers/get.ts";
import type { Effort, Figures } from "./case.ts";
import type { Contender } from "./contenders.ts";
import { coreMicros, cpuMicros, idle, LOAD_CORE, pinnedTo, residentBytes, SERVER_CORE } from "./processes.ts";

/**
 * The requested paths: one path repeatedly, random ones from a list, a new one each time (`/<bytes>/<run>-<n>.jpg`), or
 * a new thumbnail each time from the contender's template.
 */
export type Paths =
  | { readonly kind: "one"; readonly path: string }
  | { readonly kind: "random"; readonly paths: readonly string[] }
  | { readonly kind: "new"; readonly bytes: number }
  | { readonly kind: "thumbnails"; readonly of: (contender: Contender) => string; readonly connections: number };

/** A load tool's measurements of one load. Milliseconds. */
export interface Seen {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

/** Loads a contender for this long. Throws if a response was wrong or not whole. */
export type Drive = (contender: Contender, seconds: number) => Promise<Seen>;

const CONNECTIONS = 64;

/** Widths 200–399 around the compared one, and qualities 70–94: 5,000 different thumbnails of one picture. */
const LEAST_WIDTH = 200;
const WIDTHS = 200;
const LEAST_QUALITY = 70;
const QUALITIES = 25;

/** Warms each contender up, then loads them in turn, `repeats` times. Throws if `drive` does. */
export async function compare(
  contenders: readonly Contender[],
  drive: Drive,
  effort: Effort,
  /** Called after each load of a contender with the number of its requests, warm-up included. */
  afterLoad: (contender: Contender, requests: number) => Promise<void> = async () => {},
): Promise<Figures[]> {
  const runs = new Map<Contender, Run[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round <= effort.repeats; round += 1) {
    for (const [contender, list] of runs) {
      const run = await load(contender, drive, round === 0 ? effort.warmUpSeconds : effort.seconds);
      await afterLoad(contender, run.requests);
      if (round > 0) list.push(run);
    }
  }
  return [...runs].map(([contender, list]) => {
    const rounds = list.map(({ cpuMicros, requests, p99 }) => ({ cpuMicros: cpuMicros / requests, p99 }));
    const middle = (pick: (run: Run) => number) => median(list.map(pick));
    return {
      contender: contender.name,
      cpuMicros: middle((run) => run.cpuMicros / run.requests),
      p50: middle((run) => run.p50),
      p99: middle((run) => run.p99),
      perSecond: middle((run) => run.perSecond),
      foreign: middle((run) => run.foreign),
      peakBytes: residentBytes(contender.pid).peak,
      rounds,
    };
  });
}

/** CPU time per request, µs, with the work after the responses. */
export async function costOf(contender: Contender, drive: Drive, seconds: number): Promise<number> {
  await idle(contender.pid);
  const before = cpuMicros(contender.pid);
  const { requests } = await drive(contender, seconds);
  await idle(contender.pid);
  return (cpuMicros(contender.pid) - before) / requests;
}

export function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Sends one request on its own connection. Throws unless the response is 200 and has exactly these bytes. */
export async function verify(contender: Contender, path: string, bytes: Buffer): Promise<string> {
  const answer = await get({ port: contender.port, path: contender.target(path) });
  if (answer.status !== 200 || !answer.isWhole || !answer.body.equals(bytes)) {
    throw new Error(
      `${contender.name} answered ${path} with ${answer.status} and ${answer.body.length} bytes, not whole`,
    );
  }
  return String(answer.headers["cache-status"] ?? "");
}

interface Run extends Seen {
  readonly cpuMicros: number;
  readonly foreign: number;
}

async function load(contender: Contender, drive: Drive, seconds: number): Promise<Run> {
  await idle(contender.pid);
  const [before, coreBefore] = [cpuMicros(contender.pid), coreMicros(SERVER_CORE)];
  const seen = await drive(contender, seconds);
  const ours = cpuMicros(contender.pid) - before;
  const all = coreMicros(SERVER_CORE) - coreBefore;
  // Work after the responses, such as storing fetched objects, counts as the server's cost.
  await idle(contender.pid);
  const cpu = cpuMicros(contender.pid) - before;
  return { ...seen, cpuMicros: cpu, foreign: Math.max(0, 1 - ours / all) };
}

/** wrk with 64 connections, or the number that `paths` gives; every response must be 200 and whole. */
export function byWrk(paths: Paths): Drive {
  return async (contender, seconds) => {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-load-"));
    try {
      const script = join(folder, "load.lua");
      await writeFile(script, scriptFor(contender, paths));
      const connections = paths.kind === "thumbnails" ? paths.connections : CONNECTIONS;
      return readSeen(contender.name, await wrk({ port: contender.port, seconds, script, connections }));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

function scriptFor(contender: Contender, paths: Paths): string {
  const request = (target: string) => `return wrk.format("GET", ${target})`;
  switch (paths.kind) {
    case "one":
      // Requests are formatted once, so that the load tool's own work does not limit the rate.
      return `local made
init = function() made = wrk.format("GET", "${contender.target(paths.path)}") end
request = function() return made end
`;
    case "random": {
      const targets = paths.paths.map((path) => contender.target(path));
      return `local made = {}
local targets = { ${targets.map((target) => `"${target}"`).join(", ")} }
init = function() for index, target in ipairs(targets) do made[index] = wrk.format("GET", target) end end
request = function() return made[math.random(#made)] end
`;
    }
    case "new":
      return `local count = 0
request = function() count = count + 1; ${request(`"/${paths.bytes}/${process.hrtime.bigint()}-" .. count .. ".jpg"`)} end
`;
    case "thumbnails": {
      // A different picture for every run, so that no earlier result is reused.
      const template = paths.of(contender).replaceAll("{run}", String(process.hrtime.bigint()));
      return `local count = 0
request = function()
  local made = { width = ${LEAST_WIDTH} + count % ${WIDTHS}, quality = ${LEAST_QUALITY} + math.floor(count / ${WIDTHS}) % ${QUALITIES} }
  count = count + 1
  ${request(`(string.gsub("${template}", "{(%w+)}", made))`)}
end
`;
    }
  }
}

/** Runs asynchronously, because this process may have to read the servers' output meanwhile. */
function wrk(request: {
  readonly port: number;
  readonly seconds: number;
  readonly script: string;
  readonly connections: number;
}): Promise<string> {
  const { port, seconds, script, connections } = request;
  const options = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "--latency", "-s", script];
  const [command = "", ...args] = [...pinnedTo(LOAD_CORE), "wrk", ...options, `http://127.0.0.1:${port}`];
  return new Promise((resolve, reject) => {
    let said = "";
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(said) : reject(new Error(`wrk ended with ${code}:\n${said}`))));
  });
}

function readSeen(name: string, said: string): Seen {
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(said);
  if (bad !== null) throw new Error(`${name} did not answer every request: ${bad[0]}`);
  const number = (pattern: RegExp) => {
    const found = pattern.exec(said)?.[1];
    if (found === undefined) throw new Error(`Cannot read what wrk says:\n${said}`);
    return found;
  };
  return {
    requests: Number(number(/(\d+) requests in/)),
    p50: milliseconds(number(/^\s+50%\s+(\S+)/m)),
    p99: milliseconds(number(/^\s+99%\s+(\S+)/m)),
    perSecond: Number(number(/Requests\/sec:\s+(\S+)/)),
  };
}

function milliseconds(text: string): number {
  const value = Number.parseFloat(text);
  if (text.endsWith("us")) return value / 1_000;
  return text.endsWith("ms") ? value : value * 1_000;
}
