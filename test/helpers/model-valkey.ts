// A Valkey in memory, with a link for each node that can be cut or slow. It loses everything on command. Its sessions
// do what those of valkey.ts do, and time out as they do.
import { setTimeout as delay } from "node:timers/promises";
import { nameOfLease, type StreamEntry, type ValkeySession } from "../../src/serve/cluster/valkey.ts";

/** The way of one node to Valkey. */
export interface Link {
  /** True: nothing arrives, in either direction. */
  isCut: boolean;
  /** Milliseconds of one direction, asked for each. */
  latencyMs: () => number;
}

export interface ModelValkey {
  connect(link: Link): Promise<ValkeySession>;
  /** Loses everything, and goes on. */
  flush(): void;
  /** Loses everything, and answers nobody until start(). */
  stop(): void;
  start(): void;
  /** Loses the oldest entries of the stream. */
  trim(kept: number): void;
}

const COMMAND_MS = 250;
const ROUND_MS = 900;
const BLOCK_MS = 250;
const ALIVE_MS = 3_000;
const LEASE_MS = 3_000;
const OUTCOME_MS = 3_000;
/** Its clock goes back so far when it loses everything. Milliseconds. */
const CLOCK_STEP_MS = 700;

interface Expiring {
  readonly text: string;
  readonly until: number;
}

export function createModelValkey(): ModelValkey {
  let serverId = 1;
  let isRunning = true;
  let stream: StreamEntry[] = [];
  let last = 0;
  let losses = 0;
  const texts = new Map<string, Expiring>();
  let appended = new Set<() => void>();

  function lose(): void {
    last = 0;
    losses += 1;
    stream = [];
    texts.clear();
  }

  function get(name: string): string | undefined {
    const found = texts.get(name);
    return found !== undefined && performance.now() < found.until ? found.text : undefined;
  }

  const set = (name: string, text: string, forMs: number) =>
    void texts.set(name, { text, until: performance.now() + forMs });

  function add(entry: Omit<StreamEntry, "position">): string {
    last = Math.max(last + 1, Date.now() - losses * CLOCK_STEP_MS);
    const position = `${last}-${losses}`;
    stream.push({ ...entry, position });
    const waiting = appended;
    appended = new Set();
    for (const wake of waiting) wake();
    return position;
  }

  const has = (position: string) => stream.some((entry) => entry.position === position);
  const entriesAfter = (position: string) =>
    stream.filter((entry) => Number.parseInt(entry.position, 10) > Number.parseInt(position, 10));

  /** Runs a command over the link. It may take effect although its caller gets no answer. */
  async function over<Result>(link: Link, id: number, carryOut: () => Result | Promise<Result>, waitMs = COMMAND_MS) {
    const isReached = () => !link.isCut && isRunning && serverId === id;
    const exchange = async () => {
      await delay(link.latencyMs());
      if (!isReached()) return { isAnswered: false } as const;
      const result = await carryOut();
      await delay(link.latencyMs());
      return isReached() ? ({ isAnswered: true, result } as const) : ({ isAnswered: false } as const);
    };
    const late = delay(waitMs, { isAnswered: false } as const);
    const answer = await Promise.race([exchange(), late]);
    if (!answer.isAnswered) {
      await late;
      throw new Error("Valkey does not answer");
    }
    return answer.result;
  }

  function sessionOf(link: Link, id: number): ValkeySession {
    let isClosed = false;
    const send = <Result>(carryOut: () => Result | Promise<Result>, waitMs?: number): Promise<Result> =>
      isClosed ? Promise.reject(new Error("the connection is closed")) : over(link, id, carryOut, waitMs);
    const list = ({ instance, text }: { readonly instance: string; readonly text: string }) =>
      set(`node:${instance}`, text, ALIVE_MS);
    return {
      serverId: String(id),
      join: (node) =>
        send(() => {
          list(node);
          return add({ instance: node.instance, change: undefined });
        }),
      append: (instance, change, followed) =>
        send(() => {
          const isWhole = has(followed);
          const position = add({ instance, change });
          if (change.kind === "key") texts.delete(`outcome:${nameOfLease(change.bucketId, change.key)}`);
          return { position, isWhole };
        }),
      round: (position, node) =>
        send(async () => {
          list(node);
          const isWhole = has(position);
          if (entriesAfter(position).length === 0)
            await Promise.race([delay(BLOCK_MS), new Promise<void>((wake) => appended.add(wake))]);
          return { isWhole, entries: entriesAfter(position), isComplete: true };
        }, ROUND_MS),
      nodes: (position) =>
        send(() => {
          const names = [...texts.keys()].filter((name) => name.startsWith("node:"));
          return { hasPosition: has(position), texts: names.map(get).filter((text) => text !== undefined) };
        }),
      leave: (instance) => send(() => void texts.delete(`node:${instance}`)),
      acquire: (name, token) =>
        send(() => {
          if (get(`lease:${name}`) !== undefined) return false;
          set(`lease:${name}`, token, LEASE_MS);
          return true;
        }),
      renew: (name, token) => send(() => set(`lease:${name}`, token, LEASE_MS)),
      release: (name, outcome) =>
        send(() => {
          set(`outcome:${name}`, outcome, OUTCOME_MS);
          texts.delete(`lease:${name}`);
        }),
      watch: (name) => send(() => ({ token: get(`lease:${name}`), outcome: get(`outcome:${name}`) })),
      close() {
        isClosed = true;
      },
    };
  }

  return {
    async connect(link) {
      await over(link, serverId, () => undefined, 500);
      return sessionOf(link, serverId);
    },
    flush: lose,
    stop() {
      isRunning = false;
      serverId += 1;
      lose();
    },
    start() {
      isRunning = true;
    },
    trim(kept) {
      stream = stream.slice(-kept);
    },
  };
}
