// A remote store in memory, the second backend beside S3: the requests alone, with quirks that remote stores have.
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { HuiyuanError } from "../../src/core/errors.ts";
import { SILENT_LOG } from "../../src/core/log.ts";
import { type Availability, createAvailability } from "../../src/serve/bucket/remote/availability.ts";
import { createRemoteStore } from "../../src/serve/bucket/remote/bucket.ts";
import type { RemoteCondition, RemoteStore } from "../../src/serve/bucket/remote/remote.ts";
import type { Description, ObeyedConditions, RemoteRequests } from "../../src/serve/bucket/remote/requests.ts";

export interface Quirks {
  /** Conditional puts that it obeys; it ignores the others. */
  readonly obeys?: ObeyedConditions;
  /** Milliseconds before each response; of a function, before each request as well. */
  readonly slowMs?: number | (() => number);
  /** True: heads tell no size and no time, and listings no MD5. */
  readonly isTerse?: boolean;
  /** True: listings show the state of the last settle(). */
  readonly listsLate?: boolean;
  /** Most names of a page. */
  readonly pageSize?: number;
  /** True: the first response to each put is lost, and the request repeated. */
  readonly losesResponses?: boolean;
  /** Called for each request. `before`: it fails. `after`: it takes effect, and then fails. */
  readonly failure?: () => "before" | "after" | undefined;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly description: Description;
  readonly modifiedAt: number;
}

export interface MemoryRemote {
  /** Name → object. */
  readonly objects: Map<string, StoredObject>;
  /** Another tool puts an object. */
  putForeign(name: string, bytes: Buffer): void;
  /** From now on listings show the present state. */
  settle(): void;
  /** Opens the store; a second one is another server, with a way of its own to it. */
  store(prefix?: string, own?: Pick<Quirks, "slowMs" | "failure">): RemoteStore;
}

const versionOf = ({ bytes }: StoredObject) => createHash("sha256").update(bytes).digest("hex");
const OBEYS_ALL: ObeyedConditions = { absent: true, version: true };

export function createMemoryRemote(quirks: Quirks = {}): MemoryRemote {
  const { obeys = OBEYS_ALL, isTerse = false, listsLate = false, pageSize = 1_000 } = quirks;
  const id = randomUUID();
  const objects = new Map<string, StoredObject>();
  let listed = new Map(objects);

  function holds(name: string, condition: RemoteCondition): boolean {
    const found = objects.get(name);
    if (condition.when === "always" || !obeys[condition.when]) return true;
    if (condition.when === "absent") return found === undefined;
    return found !== undefined && versionOf(found) === condition.version;
  }

  const requestsOf = (availability: Availability, { slowMs = 0, failure }: Quirks): RemoteRequests => {
    async function answer<Result>(carryOut: () => Result): Promise<Result> {
      const before = typeof slowMs === "number" ? slowMs : slowMs();
      if (before > 0) await delay(before);
      const failed = failure?.();
      const result = failed === "before" ? undefined : carryOut();
      if (typeof slowMs === "function") await delay(slowMs());
      if (failed === undefined) availability.answered();
      else {
        const error = new HuiyuanError("store_failed", `Cannot send a request: it fails ${failed}`);
        availability.failed(error);
        throw error;
      }
      return result as Result; // carried out
    }

    return {
      conditions: async () => obeys,
      head: (name) =>
        answer(() => {
          const found = objects.get(name);
          if (found === undefined) return undefined;
          const { bytes, description, modifiedAt } = found;
          const isTold = !isTerse || description.fields.huiyuan === undefined;
          return {
            field: (field) => description.fields[field],
            size: isTold ? bytes.length : undefined,
            modifiedAt: isTerse ? 0 : modifiedAt,
            version: versionOf(found),
          };
        }),
      get: (name, version) =>
        answer(() => {
          const found = objects.get(name);
          if (found === undefined || (version !== undefined && versionOf(found) !== version)) return undefined;
          const { bytes } = found;
          return (async function* () {
            for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
          })();
        }),
      async put(name, source, description, condition) {
        const bytes: Buffer[] = [];
        for (let at = 0; at < source.size; at += 65_536)
          bytes.push(await source.read(at, Math.min(at + 65_536, source.size) - 1));
        const put = () => {
          if (!holds(name, condition)) return false;
          objects.set(name, { bytes: Buffer.concat(bytes), description, modifiedAt: Date.now() });
          return true;
        };
        return answer(() => {
          if (quirks.losesResponses === true) put();
          return put();
        });
      },
      copy: (from, version, to, description) =>
        answer(() => {
          const found = objects.get(from);
          if (found === undefined || versionOf(found) !== version) return false;
          objects.set(to, { bytes: found.bytes, description, modifiedAt: Date.now() });
          return true;
        }),
      remove: (name) =>
        answer(() => {
          objects.delete(name);
          return true;
        }),
      list: ({ prefix, after = "", limit }) =>
        answer(() => {
          const shown = listsLate ? listed : objects;
          const names = [...shown.keys()]
            .filter((name) => name.startsWith(prefix) && byBytes(name, after) > 0)
            .sort(byBytes);
          const page = names.slice(0, Math.min(limit, pageSize)).map((name) => {
            const bytes = shown.get(name)?.bytes ?? Buffer.alloc(0);
            const md5 = isTerse ? undefined : createHash("md5").update(bytes).digest("hex");
            return { name, size: bytes.length, md5 };
          });
          return { names: page, isEnd: page.length === names.length };
        }),
    };
  };

  return {
    objects,
    putForeign(name, bytes) {
      objects.set(name, { bytes, description: { contentType: "image/jpeg", fields: {} }, modifiedAt: Date.now() });
    },
    settle() {
      listed = new Map(objects);
    },
    store(prefix = "", own = quirks) {
      const probe = async () => {
        if (own !== quirks && own.failure?.() === "before")
          throw new HuiyuanError("store_failed", "Cannot probe: requests fail");
      };
      const availability = createAvailability({ name: "memory", probe, log: SILENT_LOG, probeEveryMs: 20 });
      const requests = requestsOf(availability, own);
      return createRemoteStore({ id, name: "memory", prefix, requests, availability, close: availability.close });
    },
  };
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}
