// The loads of the soak, each until its signal aborts: every kind of client that a public mirror meets, at once.
// Tallies the clients' results. Compares every whole response by hash with the origin's bytes.
import { createHash } from "node:crypto";
import { request } from "node:http";
import { createDice } from "../fault/proxy.ts";
import { get } from "../helpers/get.ts";
import { drip, floodOfHeaders, floodOfRequests, idleClient, pause, readSlowly } from "./hostile-clients.ts";
import { type Picture, pictureOf } from "./pictures.ts";

export interface SoakPlace {
  readonly port: number;
  readonly pictures: Pictures;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** The clients' results. */
export interface Tally {
  count(what: string, by?: number): void;
  /** Records a result that must not occur; keeps the first 20 descriptions. */
  fault(what: string): void;
  readonly counts: ReadonlyMap<string, number>;
  readonly faults: readonly string[];
}

export function createTally(): Tally {
  const counts = new Map<string, number>();
  const faults: string[] = [];
  const count = (what: string, by = 1) => void counts.set(what, (counts.get(what) ?? 0) + by);
  return {
    count,
    fault(what) {
      count("faults");
      if (faults.length < 20) faults.push(what);
    },
    counts,
    faults,
  };
}

/** Number of clients of each kind, and of their requests. */
export const SCALE = {
  slowFills: 200,
  slowFillBytes: 20_000_000,
  /** Duration of each slow response of the origin. */
  slowFillSeconds: 90,
  idle: 1_000,
  slowReaders: 200,
  drips: 50,
  mixed: 12,
} as const;

/** Sizes of the mixed load; the first is requested most often. */
const MIXED_SIZES = [20_000, 100_000, 1_000_000] as const;
/** Cached in memory, and larger than the kernels' socket buffers. */
export const LARGE_IN_MEMORY = 6_000_000;
export const LARGE_IN_BUCKET = 19_000_000;
/** All requested sizes. */
export const SIZES: readonly number[] = [...MIXED_SIZES, LARGE_IN_MEMORY, LARGE_IN_BUCKET, SCALE.slowFillBytes];
/** Requests for this host use a mirror of their own, so that slow fills do not use the others' slots. */
export const SLOW_HOST = "slow.test";
const NAMES_PER_SIZE = 50;
/** Number of different slow pictures; equal ones are stored once, which limits disk use. */
const SLOW_PICTURES = 8;

/** The expected body of each path. */
export interface Pictures {
  of(bytes: number): Picture;
  /** SHA-256, hexadecimal, of the origin's picture for this path. */
  sha256(bytes: number, path: string): string;
}

export async function drawPictures(): Promise<Pictures> {
  const drawn = new Map<number, Picture>();
  for (const bytes of SIZES) drawn.set(bytes, await pictureOf(bytes));
  const known = new Map<string, string>();
  const of = (bytes: number) => drawn.get(bytes) as Picture; // SIZES contains all requested sizes
  return {
    of,
    sha256(bytes, path) {
      const picture = of(bytes);
      const before = known.get(path);
      if (before !== undefined) return before;
      const hash = createHash("sha256").update(picture.headFor(path)).update(picture.rest).digest("hex");
      // Only hashes of large pictures are remembered: there are few, and small ones are new each time.
      if (bytes > 1_000_000) known.set(path, hash);
      return hash;
    },
  };
}

/** Runs all loads; resolves once every client has disconnected. */
export async function runLoads(place: SoakPlace): Promise<void> {
  const many = (count: number, one: (index: number) => Promise<void>) =>
    Array.from({ length: count }, (_, at) => one(at));
  const slow = createSlowPaths();
  await Promise.all([
    ...many(SCALE.idle, (index) => idle(place, index)),
    ...many(SCALE.slowFills, (index) => slowFills(place, slow, index)),
    ...many(SCALE.slowReaders, (index) => slowReader(place, slow, index)),
    ...many(SCALE.drips, (index) => drips(place, index)),
    ...many(SCALE.mixed, (index) => mixed(place, index)),
    floods(place),
  ]);
}

interface SlowPaths {
  next(): string;
  /** The most recent path, whose fill is most likely still running. */
  latest(): string;
}

const pictureOfSlow = (path: string) => path.slice(0, path.lastIndexOf("/"));

function createSlowPaths(): SlowPaths {
  let count = 0;
  const path = (index: number) =>
    `/slow/${SCALE.slowFillBytes}/${SCALE.slowFillSeconds}/${index % SLOW_PICTURES}/${index}.jpg`;
  return { next: () => path(count++), latest: () => path(Math.max(0, count - 1)) };
}

async function idle({ port, tally, signal }: SoakPlace, index: number): Promise<void> {
  await pause(index * 5, signal);
  await idleClient(port, namedPath(MIXED_SIZES[0], index), signal, () => tally.count("idle clients that came"));
}

/** Sequential requests, each for a new key. Every fifth client disconnects early; its fill continues. */
async function slowFills({ port, pictures, tally, signal }: SoakPlace, paths: SlowPaths, index: number): Promise<void> {
  await pause(index * 100, signal);
  for (let round = index; !signal.aborted; round += 1) {
    const path = paths.next();
    const leaveAfter = round % 5 === 0 ? SCALE.slowFillBytes / 2 : undefined;
    const seen = await fetchHash({ port, path, host: SLOW_HOST, leaveAfter, signal });
    if (signal.aborted) return;
    if (seen.hasLeft) tally.count("slow fills left by their client");
    else if (seen.sha256 === pictures.sha256(SCALE.slowFillBytes, pictureOfSlow(path))) tally.count("slow fills whole");
    else tally.fault(`slow fill ${path}: ${seen.status}, ${seen.bytes} bytes`);
  }
}

/** One third each from memory, from the bucket and from a running fill. */
async function slowReader({ port, pictures, tally, signal }: SoakPlace, slow: SlowPaths, index: number): Promise<void> {
  await pause(5_000 + index * 50, signal);
  while (!signal.aborted) {
    const kind = (["memory", "bucket", "fill"] as const)[index % 3] ?? "fill";
    const { bytes, path, host, picture } = largeOf(kind, slow);
    const pace = { bytes: 65_536, pauseMs: Math.round(65_536 / (bytes / 60_000)) };
    const seen = await readSlowly({ port, path, host }, pace, signal);
    if (signal.aborted) return;
    if (seen.isWhole && seen.sha256 === pictures.sha256(bytes, picture)) tally.count(`slow reads whole, from ${kind}`);
    else tally.fault(`slow reader of ${path}: ${seen.status}, ${seen.bodyBytes} bytes`);
  }
}

function largeOf(kind: "memory" | "bucket" | "fill", slow: SlowPaths) {
  if (kind === "fill") {
    const path = slow.latest();
    return { bytes: SCALE.slowFillBytes, path, host: SLOW_HOST, picture: pictureOfSlow(path) };
  }
  const bytes = kind === "memory" ? LARGE_IN_MEMORY : LARGE_IN_BUCKET;
  const path = `/${bytes}/large.jpg`;
  return { bytes, path, host: "any.example", picture: path };
}

async function drips({ port, tally, signal }: SoakPlace, index: number): Promise<void> {
  await pause(index * 600, signal);
  while (!signal.aborted) {
    const { ms, status } = await drip(port, signal);
    if (signal.aborted) return;
    if (status === 408 && ms < 35_000) tally.count("slow heads ended with 408");
    else tally.fault(`a slow head was ended after ${Math.round(ms)} ms with ${status}`);
  }
}

async function floods({ port, tally, signal }: SoakPlace): Promise<void> {
  while (!signal.aborted) {
    const statuses = await Promise.all([400, 3_000, 30_000].map((count) => floodOfHeaders(port, count, signal)));
    const answers = await floodOfRequests(port, namedPath(MIXED_SIZES[0], 0), 200, signal);
    if (signal.aborted) return;
    for (const status of statuses) {
      // A client that is still sending may be reset before it has read the response.
      if (status === 431 || status === 0) tally.count("header floods ended");
      else tally.fault(`a header flood was answered ${status}`);
    }
    if (answers === 200) tally.count("floods of 200 requests answered");
    else tally.fault(`${answers} of 200 requests on one connection were answered 200`);
    await pause(1_000, signal);
  }
}

function namedPath(bytes: number, index: number): string {
  return `/${bytes}/named-${index % NAMES_PER_SIZE}.jpg`;
}

const KINDS = ["hit", "hit", "hit", "hit", "miss", "miss", "absent", "range", "head", "hit"] as const;

/** Hits, misses, 404s, ranges and HEADs; a fifth of the clients disconnects before the end. */
async function mixed(place: SoakPlace, index: number): Promise<void> {
  const { tally, signal } = place;
  const dice = createDice(index + 1);
  for (let turn = 0; !signal.aborted; turn += 1) {
    const kind = KINDS[Math.floor(dice() * KINDS.length)] ?? "hit";
    const bytes = MIXED_SIZES[dice() < 0.7 ? 0 : dice() < 0.85 ? 1 : 2];
    const path =
      kind === "miss"
        ? `/${bytes}/new-${index}-${turn}.jpg`
        : kind === "absent"
          ? `/absent/${index}-${turn}.jpg`
          : namedPath(bytes, Math.floor(dice() * NAMES_PER_SIZE));
    const leaveAfter = dice() < 0.2 ? Math.floor(dice() * bytes) : undefined;
    const fault = await askOnce(place, { kind, bytes, path, start: Math.floor(dice() * bytes), leaveAfter }).catch(
      (error: Error) => `${kind} ${path}: ${error.message}`,
    );
    if (fault !== undefined) tally.fault(fault);
    await pause(dice() * 100, signal);
  }
}

interface Wish {
  readonly kind: (typeof KINDS)[number];
  readonly bytes: number;
  readonly path: string;
  readonly start: number;
  readonly leaveAfter: number | undefined;
}

/** Undefined if the response is as expected. */
async function askOnce({ port, pictures, tally }: SoakPlace, wish: Wish): Promise<string | undefined> {
  const { kind, bytes, path, start, leaveAfter } = wish;
  const method = kind === "head" ? "HEAD" : "GET";
  const headers: Record<string, string> = kind === "range" ? { range: `bytes=${start}-` } : {};
  const leaving = method === "GET" && leaveAfter !== undefined ? { leaveAfter } : {};
  const { status, headers: got, body, isWhole } = await get({ port, path, method, headers, ...leaving });
  const wanted = { absent: 404, range: 206, hit: 200, miss: 200, head: 200 }[kind];
  if (status !== wanted) return `${kind} ${path}: ${status}`;
  if (!isWhole && leaving.leaveAfter === undefined) return `${kind} ${path}: broken after ${body.length} bytes`;
  tally.count(isWhole ? `mixed: ${kind}` : "mixed: left by the client");
  if (kind === "absent") return undefined;
  if (kind === "head") return got["content-length"] === String(bytes) ? undefined : `HEAD ${path}: wrong length`;
  const from = kind === "range" ? start : 0;
  const right = pictures.of(bytes).for(path).subarray(from);
  // If a client disconnected early, the bytes received so far must be right.
  return body.equals(isWhole ? right : right.subarray(0, body.length)) ? undefined : `${kind} ${path}: wrong bytes`;
}

/** Reads a response and keeps only its hash. */
function fetchHash(options: {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  readonly leaveAfter: number | undefined;
  readonly signal: AbortSignal;
}): Promise<{ status: number; bytes: number; sha256: string; hasLeft: boolean }> {
  const { port, path, host, leaveAfter = Number.POSITIVE_INFINITY, signal } = options;
  return new Promise((resolve) => {
    const hash = createHash("sha256");
    let bytes = 0;
    let status = 0;
    let hasLeft = false;
    const sent = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false, signal }, (response) => {
      status = response.statusCode ?? 0;
      response.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
        if (bytes < leaveAfter) return;
        hasLeft = true;
        sent.destroy();
      });
      response.on("error", () => {}); // the hash shows the failure
    });
    sent.on("error", () => {}); // `close` follows
    sent.on("close", () => resolve({ status, bytes, sha256: hash.digest("hex"), hasLeft }));
    sent.end();
  });
}
