// A property of several nodes: no schedule of crashes, partitions and losses lets a node serve what a confirmed change
// has removed. Real nodes (cluster, tiered store, memory cache) on a model of Valkey, of S3 and of time. A schedule
// follows from its seed, and many run beside each other in the same model of time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { type Key, toKey } from "../../../../src/core/object.ts";
import { createSpoolPool } from "../../../../src/serve/body/spool/spool-pool.ts";
import { createBucket, describeObject, uploadedAt } from "../../../../src/serve/bucket/contract/bucket.ts";
import { hasExpired } from "../../../../src/serve/bucket/contract/conditions.ts";
import type { Entry } from "../../../../src/serve/bucket/contract/driver.ts";
import type { RemoteEntry } from "../../../../src/serve/bucket/remote/remote.ts";
import { createDiskCache } from "../../../../src/serve/bucket/tier/disk/disk-cache.ts";
import { createTieredStore } from "../../../../src/serve/bucket/tier/tiered-store.ts";
import { createCluster } from "../../../../src/serve/cluster/cluster.ts";
import { createMemoryCache } from "../../../../src/serve/mirror/stored/memory-cache.ts";
import { createStored, type Stored } from "../../../../src/serve/mirror/stored/stored.ts";
import { createMemoryEdge, type MemoryEdge } from "../../../helpers/memory-edge.ts";
import { createMemoryRemote, type MemoryRemote } from "../../../helpers/memory-remote.ts";
import { type ModelTime, startModelTime } from "../../../helpers/model-time.ts";
import { createModelValkey, type Link, type ModelValkey } from "../../../helpers/model-valkey.ts";
import { infoOf, wholeBody } from "../../../helpers/whole-body.ts";

vi.mock("node:timers/promises", () => ({
  setTimeout: (ms: number, value: unknown) => new Promise((resolve) => setTimeout(() => resolve(value), ms)),
  setImmediate: () => new Promise<void>((resolve) => setImmediate(resolve)),
}));

const NODES = 3;
const KEYS = ["a.jpg", "b.jpg", "c.jpg"].map(toKey);
const BUCKET = "1/photos";
const SCHEDULES = Number(process.env.SCHEDULES ?? 80);
const FIRST_SEED = Number(process.env.SEED ?? 1);
const ACTIONS = 150;
/** The time of a schedule, without its end. Model milliseconds. */
const SCHEDULE_MS = 15_000;
/** For how long a detached node serves what it last compared with S3. */
const DETACHED_MS = 1_000;
/** Pending uploads are stored again by then. */
const CALM_MS = 40_000;

let dir: string;
let time: ModelTime;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "huiyuan-cluster-"));
  time = startModelTime();
});
afterAll(() => {
  time.end();
  rmSync(dir, { recursive: true, force: true });
});

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Bytes that were fetched or uploaded. Times are numbers of events. */
interface Born {
  readonly via: "mirror" | "upload";
  readonly key: Key;
  /** The fetch or the upload began. */
  readonly at: number;
  /** The upload was acknowledged. */
  acknowledgedAt?: number;
}

/** A change that all nodes have confirmed. */
interface Confirmed {
  readonly kind: "delete" | "undelete" | "purge" | "upload";
  readonly key: Key;
  readonly at: number;
  readonly confirmedAt: number;
  /** Model milliseconds. */
  readonly confirmedMs: number;
}

/** The part of a node that a kill of its program leaves: its disk, and its ways to the others. */
interface Machine {
  readonly edge: MemoryEdge;
  readonly dir: string;
  readonly valkey: Link;
  isKilled: boolean;
  isS3Cut: boolean;
  /** Milliseconds of one direction. */
  s3LatencyMs: () => number;
  /** When a request to S3 last failed, or took longer than a comparison may. Model milliseconds. */
  s3FailedAt: number;
}

interface Node {
  readonly stored: Stored;
  readonly cluster: ReturnType<typeof createCluster>;
  readonly machine: Machine;
  readonly isDown: () => boolean;
  kill(): void;
}

/** One schedule: its nodes, what happened, and what must not be served any more. */
class World {
  readonly faults: string[] = [];
  readonly confirmed: Confirmed[] = [];
  readonly born = new Map<string, Born>();
  readonly trace: string[] = [];
  readonly s3: MemoryRemote = createMemoryRemote();
  readonly valkey: ModelValkey = createModelValkey();
  readonly nodes: Node[] = [];
  readonly machines: Machine[] = [];
  readonly counts = { served: 0, changes: 0, fetched: 0, detached: 0 };
  #events = 0;

  readonly seed: number;
  readonly random: () => number;

  constructor(seed: number, random: () => number) {
    this.seed = seed;
    this.random = random;
    for (let index = 0; index < NODES; index += 1) {
      const machine: Machine = {
        edge: createMemoryEdge(),
        dir: mkdtempSync(join(dir, "node-")),
        valkey: { isCut: false, latencyMs: () => this.between(1, 5) },
        isS3Cut: false,
        s3LatencyMs: () => this.between(1, 15),
        isKilled: false,
        s3FailedAt: Number.NEGATIVE_INFINITY,
      };
      this.machines.push(machine);
      this.nodes.push(startNode(this, machine));
    }
  }

  event(): number {
    this.#events += 1;
    return this.#events;
  }

  note(text: string): void {
    this.trace.push(`${Math.round(performance.now())} ${text}`);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }

  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low));
  }

  /** New bytes, which no other event makes. */
  bear(born: Born): Buffer {
    const id = `body ${this.born.size + 1} of ${this.seed}`;
    this.born.set(id, born);
    return Buffer.from(id);
  }

  /** A download began at `startedAt`: what it got must not be older than a change that was confirmed before. */
  check(node: Node, key: Key, { bytes, startedAt, startedMs, wasAttached }: Served): void {
    this.counts.served += 1;
    const isDetached = !wasAttached || !node.cluster.coordination.isAttached();
    if (isDetached) this.counts.detached += 1;
    const id = bytes.toString();
    const born = this.born.get(id);
    if (born?.key !== key) this.faults.push(`${key} got ${id}`);
    if (born === undefined) return;
    // A detached node asks S3 about a key once a second.
    const knownMs = isDetached ? startedMs - DETACHED_MS : startedMs;
    const broken = this.confirmed.find(
      (change) =>
        change.key === key &&
        change.confirmedAt < startedAt &&
        change.confirmedMs <= knownMs &&
        isRemovedBy(born, change),
    );
    // Without S3 a node may serve what it has. A node that had none in time may still serve it for a second.
    const hadNoS3 = node.isDown() || node.machine.s3FailedAt >= startedMs - 2_000;
    if (broken === undefined || hadNoS3) return;
    const text = `${key}: node ${this.nodes.indexOf(node)} served ${id} after a confirmed ${broken.kind}`;
    this.note(text);
    this.faults.push(text);
  }
}

interface Served {
  readonly bytes: Buffer;
  readonly startedAt: number;
  readonly startedMs: number;
  readonly wasAttached: boolean;
}

function isRemovedBy({ via, at, acknowledgedAt }: Born, change: Confirmed): boolean {
  if (via === "mirror") return at < change.at;
  const mayRemove = change.kind === "delete" || change.kind === "upload";
  return mayRemove && acknowledgedAt !== undefined && acknowledgedAt < change.at;
}

function startNode(world: World, machine: Machine): Node {
  let isDead = false;
  const { random } = world;
  // A killed program reaches nothing. What it had sent may still arrive.
  const link: Link = {
    get isCut() {
      return isDead || machine.valkey.isCut;
    },
    latencyMs: () => machine.valkey.latencyMs(),
  };
  let requests = 0;
  const remote = world.s3.store("", {
    slowMs() {
      const ms = machine.s3LatencyMs();
      requests += 1;
      if (ms > 400) machine.s3FailedAt = performance.now() + 2 * ms;
      return ms;
    },
    failure() {
      if (!isDead && !machine.isS3Cut) return undefined;
      machine.s3FailedAt = performance.now();
      return random() < 0.5 ? "before" : "after";
    },
  });
  const memory = createMemoryCache({ maxBytes: 10_000_000, maxObjectBytes: 1_000_000 }, undefined, () =>
    cluster.coordination.isAttached(),
  );
  const cluster = createCluster({
    connect: () => world.valkey.connect(link),
    facts: () => ({ name: machine.dir, version: "1", settings: "same", startedAt: 0, requests }),
    dir: machine.dir,
    log: SILENT_LOG,
  });
  const edge = guarded(machine.edge, () => isDead);
  const disk = createDiskCache({ embedded: edge, maxBytes: 10_000_000, wasUsed: () => false, log: SILENT_LOG });
  const store = createTieredStore({
    embedded: edge,
    remote,
    spools: createSpoolPool({ dir: machine.dir, memoryBytes: 10_000_000, log: SILENT_LOG }),
    connections: 64,
    disk,
    changed: (bucketId, key) => memory.drop(bucketId, key),
    coordination: cluster.coordination,
    log: SILENT_LOG,
    now: Date.now,
  });
  const bucket = createBucket({ driver: store.bucket(BUCKET), now: Date.now, maxObjectBytes: 1_000_000 });
  cluster.start({
    follow(bucketId, key) {
      memory.drop(bucketId, key);
      store.follow(bucketId, key);
    },
    followAll() {
      memory.dropAll();
      store.followAll();
    },
    isStoreDown: () => remote.isDown,
  });
  return {
    stored: createStored(BUCKET, bucket, memory, { confirmed: cluster.confirmed }),
    cluster,
    machine,
    isDown: () => remote.isDown,
    kill() {
      isDead = true;
      void cluster.close();
      void store.close();
    },
  };
}

/** The disk, which a killed program does not reach any more. */
function guarded(edge: MemoryEdge, isDead: () => boolean): MemoryEdge {
  return {
    ...edge,
    bucket(id) {
      const driver = edge.bucket(id);
      return new Proxy(driver, {
        get(target, name, receiver) {
          const value = Reflect.get(target, name, receiver);
          if (typeof value !== "function") return value;
          return (...passed: unknown[]) => (isDead() ? new Promise(() => {}) : Reflect.apply(value, target, passed));
        },
      });
    },
  };
}

async function download(world: World, node: Node, key: Key): Promise<void> {
  const startedAt = world.event();
  const start = { startedAt, startedMs: performance.now(), wasAttached: node.cluster.coordination.isAttached() };
  const { stored } = node;
  const hit = stored.peek(key);
  if (hit !== undefined) return world.check(node, key, { bytes: hit.body, ...start });
  const revision = stored.cacheRevision();
  const entry = await stored.lookup(key);
  if (entry.state === "object") {
    const opened = await stored.open(entry, revision);
    if (opened?.state === "loaded") world.check(node, key, { bytes: opened.object.body, ...start });
    return;
  }
  if (entry.state === "absent" && entry.failure === undefined) await fetchImage(world, node, key, entry.epoch);
}

/** The origin has new bytes at each request. */
async function fetchImage(world: World, { stored }: Node, key: Key, epoch: number): Promise<void> {
  world.counts.fetched += 1;
  const [at, fetchedAt] = [world.event(), Date.now()];
  const body = wholeBody(world.bear({ via: "mirror", key, at }));
  await delay(world.random() < 0.2 ? world.between(1_000, 6_000) : world.between(1, 200));
  await stored.putFetched(body, { info: infoOf(key, body, "mirror", fetchedAt), epoch });
}

/** False where nothing was changed. */
const CHANGES = {
  delete: async ({ stored }: Node, key: Key) => (await stored.delete(key, "test")) !== undefined,
  undelete: ({ stored }: Node, key: Key) => stored.undelete(key),
  purge: async ({ stored }: Node, key: Key) => (await stored.purge(key, { hard: true })) !== undefined,
};

async function change(world: World, node: Node, key: Key): Promise<void> {
  const kind = world.pick(["delete", "undelete", "purge", "upload"] as const);
  const at = world.event();
  world.counts.changes += 1;
  let isDone: boolean | undefined;
  if (kind === "upload") {
    const born: Born = { via: "upload", key, at };
    const body = wholeBody(world.bear(born));
    const provenance = uploadedAt(Date.now());
    const image = { format: "jpeg", width: 1, height: 1 } as const;
    const info = describeObject({ key, body, image, provenance, now: Date.now() });
    isDone = (await node.stored.put(info, body, { when: "always" })) === "stored";
    born.acknowledgedAt = world.event();
  } else isDone = await CHANGES[kind](node, key);
  const { othersWithinMs } = await node.cluster.confirmed();
  world.note(`${kind} ${key} on ${world.nodes.indexOf(node)}: others within ${othersWithinMs}`);
  if (isDone === false || othersWithinMs > 0) return;
  world.confirmed.push({ kind, key, at, confirmedAt: world.event(), confirmedMs: performance.now() });
  await Promise.all(world.nodes.map((each) => download(world, each, key)));
}

/** Each breaks something, and mends it after a while. */
const TROUBLES: readonly ((world: World, machine: Machine) => Promise<void>)[] = [
  async (world, { valkey }) => {
    valkey.isCut = true;
    await delay(world.between(50, 4_000));
    valkey.isCut = false;
  },
  async (world, { valkey }) => {
    valkey.latencyMs = () => world.between(20, 300);
    await delay(world.between(500, 4_000));
    // Messages that are under way may be lost, or arrive late.
    valkey.isCut = world.random() < 0.5;
    await delay(world.between(500, 2_000));
    valkey.isCut = false;
    valkey.latencyMs = () => world.between(1, 5);
  },
  async ({ valkey }) => valkey.flush(),
  async (world) => {
    world.valkey.stop();
    await delay(world.between(10, 3_000));
    world.valkey.start();
  },
  async ({ valkey }) => valkey.trim(1),
  async (world, machine) => {
    machine.isS3Cut = true;
    await delay(world.between(50, 3_000));
    machine.isS3Cut = false;
  },
  async (world, machine) => {
    machine.s3LatencyMs = () => world.between(100, 1_500);
    await delay(world.between(500, 4_000));
    machine.s3LatencyMs = () => world.between(1, 15);
  },
  async (world, machine) => {
    if (machine.isKilled) return;
    machine.isKilled = true;
    const index = world.machines.indexOf(machine);
    world.nodes[index]?.kill();
    await delay(world.between(1, 2_000));
    world.nodes[index] = startNode(world, machine);
    machine.isKilled = false;
  },
];

async function act(world: World): Promise<void> {
  const node = world.pick(world.nodes);
  const key = world.pick(KEYS);
  const which = world.random();
  if (which < 0.72) await download(world, node, key);
  else if (which < 0.92) await change(world, node, key);
  else {
    const trouble = world.between(0, TROUBLES.length);
    world.note(`trouble ${trouble} for ${world.nodes.indexOf(node)}`);
    await TROUBLES[trouble]?.(world, node.machine);
  }
}

/** A mark of a purge, an expired tombstone, is nothing that anybody sees. */
function stateOf(found: Entry | RemoteEntry): string {
  if (found.state === "object") return found.info.hashes.sha256;
  return found.state === "tombstone" && hasExpired(found, Date.now()) ? "absent" : found.state;
}

async function stateOn({ stored }: Node, key: Key): Promise<string> {
  return stored.peek(key)?.info.hashes.sha256 ?? stateOf(await stored.lookup(key));
}

/** Changes fail in such times, which is none of this test's business. */
const quietly = (run: Promise<unknown>) => run.catch(() => {});

async function runSchedule(seed: number): Promise<World> {
  const world = new World(seed, randomOf(seed));
  await delay(1_500);
  const running: Promise<unknown>[] = [];
  for (let count = 0; count < ACTIONS; count += 1) {
    await delay(world.between(0, (2 * SCHEDULE_MS) / ACTIONS));
    running.push(quietly(act(world)));
  }
  await Promise.race([Promise.all(running), delay(20_000)]);
  // Everything is well again: all nodes agree with S3, and with each other at once.
  await delay(CALM_MS);
  for (const key of KEYS) {
    const expected = stateOf(await world.s3.store("").bucket(BUCKET).head(key));
    for (const [index, each] of world.nodes.entries()) {
      const state = await stateOn(each, key);
      if (state !== expected) world.faults.push(`${key} on node ${index} is ${state}, in S3 ${expected}`);
    }
    const node = world.pick(world.nodes);
    await node.stored.delete(key, "end");
    const confirmation = await node.cluster.confirmed();
    if (confirmation.confirmed !== NODES || confirmation.othersWithinMs > 0)
      world.faults.push(`at the end of ${seed}: ${JSON.stringify(confirmation)}`);
    for (const each of world.nodes) {
      const { state } = await each.stored.lookup(key);
      if (state !== "tombstone") world.faults.push(`at the end of ${seed}: ${key} is ${state}`);
    }
  }
  for (const node of world.nodes) node.kill();
  return world;
}

test("no node serves what a confirmed change has removed, and all agree when all is well", async () => {
  const seeds = Array.from({ length: SCHEDULES }, (_, index) => FIRST_SEED + index);
  const worlds = await time.run(Promise.all(seeds.map(runSchedule)));
  const total = (count: (world: World) => number) => worlds.reduce((sum, world) => sum + count(world), 0);
  const failed = worlds.filter(({ faults }) => faults.length > 0);
  if (process.env.SEED !== undefined) console.log(failed.flatMap(({ trace }) => trace).join("\n"));
  expect(failed.map(({ seed, faults }) => `seed ${seed}: ${faults[0]}`)).toEqual([]);
  // The schedules did happen.
  expect(total(({ confirmed }) => confirmed.length)).toBeGreaterThan(SCHEDULES * 5);
  expect(total(({ counts }) => counts.served)).toBeGreaterThan(SCHEDULES * 30);
  expect(total(({ counts }) => counts.detached)).toBeGreaterThan(SCHEDULES);
}, 120_000);
