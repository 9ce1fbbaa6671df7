// The connections to Valkey: the commands of a cluster as functions. The only file that imports ioredis, and only when
// a cluster is configured. It decides nothing, and reconnects nothing: a session that failed is replaced by a new one.
import type { Redis } from "ioredis";
import { HuiyuanError } from "../../core/errors.ts";

/** A change in the stream. `all`: the node could not tell its changes, so any key may have changed. */
export type Change =
  | { readonly kind: "key"; readonly bucketId: string; readonly key: string }
  | { readonly kind: "all" };

/** One entry of the stream. Undefined: a node has joined. */
export interface StreamEntry {
  readonly position: string;
  readonly instance: string;
  readonly change: Change | undefined;
}

/** One read of the stream. */
export interface Round {
  /** False: Valkey has lost the entry of the last position, and perhaps later ones. */
  readonly isWhole: boolean;
  readonly entries: readonly StreamEntry[];
  /** False: more entries wait already. */
  readonly isComplete: boolean;
}

/** A node as the others see it. */
export interface NodeText {
  readonly instance: string;
  readonly text: string;
}

/** Every method throws if Valkey does not answer within its time-out; the command may be carried out later. */
export interface ValkeySession {
  /** Another one after each start of Valkey, which may have lost what came last. */
  readonly serverId: string;
  /** Says that the node is alive, then appends an entry, and returns its position. */
  join(node: NodeText): Promise<string>;
  /** Appends the change. `isWhole`: Valkey still has the entry at `followed`. */
  append(instance: string, change: Change, followed: string): Promise<{ position: string; isWhole: boolean }>;
  /** Says that the node is alive, and waits for entries after the position for a quarter of a second. */
  round(position: string, node: NodeText): Promise<Round>;
  /** The nodes that are alive, as their texts. `hasPosition`: Valkey still has this entry. */
  nodes(position: string): Promise<{ readonly hasPosition: boolean; readonly texts: readonly string[] }>;
  leave(instance: string): Promise<void>;
  /** Takes the lease unless another token has it. */
  acquire(name: string, token: string): Promise<boolean>;
  renew(name: string, token: string): Promise<void>;
  /** Leaves the outcome for those who wait, and gives up the lease. */
  release(name: string, outcome: string): Promise<void>;
  /** The token that has the lease, and the last outcome. */
  watch(name: string): Promise<{ readonly token: string | undefined; readonly outcome: string | undefined }>;
  close(): void;
}

export interface ValkeyPlace {
  readonly url: string;
  readonly prefix: string;
}

/** Lives without a renewal. Milliseconds. */
export const LEASE_MS = 3_000;
/** A node counts as alive for so long after its last round. Milliseconds. */
const ALIVE_MS = 3_000;
const OUTCOME_MS = 3_000;
const CONNECT_MS = 500;
const COMMAND_MS = 250;
const BLOCK_MS = 250;
/** A silent connection, such as to a stopped Valkey, fails. */
const ROUND_MS = 900;
const ENTRIES_AT_ONCE = 1_000;
/** About 5 MB. A node that is further behind compares everything. */
const MAX_ENTRIES = 100_000;

/** The name of a key's lease. */
export const nameOfLease = (bucketId: string, key: string) => `${bucketId}\n${key}`;

type Fields = readonly [id: string, fields: readonly string[]];

/** Opens two connections, because a read of the stream blocks its own. Throws if Valkey does not answer. */
export async function connectValkey({ url, prefix }: ValkeyPlace): Promise<ValkeySession> {
  const { Redis } = await import("ioredis");
  const open = (commandTimeout: number) =>
    new Redis(url, {
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      commandTimeout,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
    });
  const [commands, reader] = [open(COMMAND_MS), open(ROUND_MS)];
  // Each failure rejects a command as well, but without its cause. Only the text: the error has the password.
  let cause: string | undefined;
  for (const connection of [commands, reader])
    connection.on("error", ({ message }: Error) => {
      cause ??= message;
    });
  const close = () => {
    for (const connection of [commands, reader]) connection.disconnect();
  };
  try {
    await Promise.all([commands.connect(), reader.connect()]);
    const serverId = /^run_id:(\w+)/m.exec(await commands.info("server"))?.[1] ?? "";
    return sessionOf(commands, reader, { prefix, serverId, close });
  } catch (error) {
    close();
    throw cause === undefined ? error : new Error(cause);
  }
}

function sessionOf(
  commands: Redis,
  reader: Redis,
  { prefix, serverId, close }: Pick<ValkeySession, "serverId" | "close"> & { readonly prefix: string },
): ValkeySession {
  const stream = `${prefix}changes`;
  const members = `${prefix}nodes`;
  const nodeName = (instance: string) => `${prefix}node:${instance}`;
  const leaseName = (name: string) => `${prefix}lease:${name}`;
  const outcomeName = (name: string) => `${prefix}outcome:${name}`;
  const listing = (connection: Redis, { instance, text }: NodeText) =>
    connection.pipeline().set(nodeName(instance), text, "PX", ALIVE_MS).sadd(members, instance);
  return {
    serverId,
    async join(node) {
      const sent = listing(commands, node).xadd(stream, "MAXLEN", "~", MAX_ENTRIES, "*", "n", node.instance);
      return (await resultsOf(sent))[2] as string;
    },
    async append(instance, change, followed) {
      const fields = ["n", instance, ...fieldsOf(change)];
      const sent = commands
        .pipeline()
        .xrange(stream, followed, followed)
        .xadd(stream, "MAXLEN", "~", MAX_ENTRIES, "*", ...fields);
      // An outcome from before the change would send a node to look for what is gone.
      if (change.kind === "key") sent.del(outcomeName(nameOfLease(change.bucketId, change.key)));
      const [kept, position] = await resultsOf(sent);
      return { position: position as string, isWhole: (kept as readonly unknown[]).length > 0 };
    },
    async round(position, node) {
      const [, , kept, read] = await resultsOf(
        listing(reader, node)
          .xrange(stream, position, position)
          .xread("COUNT", ENTRIES_AT_ONCE, "BLOCK", BLOCK_MS, "STREAMS", stream, position),
      );
      const found = (read as readonly [string, readonly Fields[]][] | null)?.[0]?.[1] ?? [];
      return {
        isWhole: (kept as readonly unknown[]).length > 0,
        entries: found.map(entryOf),
        isComplete: found.length < ENTRIES_AT_ONCE,
      };
    },
    async nodes(position) {
      const [kept, names] = await resultsOf(commands.pipeline().xrange(stream, position, position).smembers(members));
      const instances = names as readonly string[];
      const texts = instances.length === 0 ? [] : await commands.mget(...instances.map(nodeName));
      const gone = instances.filter((_, index) => texts[index] === null);
      if (gone.length > 0) void commands.srem(members, ...gone).catch(() => {});
      return { hasPosition: (kept as readonly unknown[]).length > 0, texts: texts.filter((text) => text !== null) };
    },
    async leave(instance) {
      await resultsOf(commands.pipeline().srem(members, instance).del(nodeName(instance)));
    },
    acquire: async (name, token) => (await commands.set(leaseName(name), token, "PX", LEASE_MS, "NX")) === "OK",
    async renew(name, token) {
      await commands.set(leaseName(name), token, "PX", LEASE_MS, "XX");
    },
    async release(name, outcome) {
      await resultsOf(commands.pipeline().set(outcomeName(name), outcome, "PX", OUTCOME_MS).del(leaseName(name)));
    },
    async watch(name) {
      const [token, outcome] = await commands.mget(leaseName(name), outcomeName(name));
      return { token: token ?? undefined, outcome: outcome ?? undefined };
    },
    close,
  };
}

async function resultsOf(pipeline: ReturnType<Redis["pipeline"]>): Promise<readonly unknown[]> {
  const results = (await pipeline.exec()) ?? failed("the connection is closed");
  return results.map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}

function fieldsOf(change: Change): readonly string[] {
  return change.kind === "all" ? ["a", ""] : ["b", change.bucketId, "k", change.key];
}

function entryOf([position, fields]: Fields): StreamEntry {
  const named = new Map<string, string>();
  for (let index = 0; index + 1 < fields.length; index += 2) named.set(fields[index] ?? "", fields[index + 1] ?? "");
  const [bucketId, key] = [named.get("b"), named.get("k")];
  const isKey = bucketId !== undefined && key !== undefined;
  const change: Change | undefined = isKey
    ? { kind: "key", bucketId, key }
    : named.has("a")
      ? { kind: "all" }
      : undefined;
  return { position, instance: named.get("n") ?? "", change };
}

function failed(why: string): never {
  throw new HuiyuanError("store_failed", `Cannot use Valkey: ${why}`);
}
