// Checks rules between several keys of the settings. Those of origins and mirror sources are in origin-checks.ts and
// rule-checks.ts.
import { say } from "../fault-words.ts";
import type { PathFault } from "../faults.ts";
import { isLoopbackHost, normalizeHost } from "../hosts.ts";
import { addressFault, callbackUrlFault, type OwnAddresses, storeFaults } from "./origin-checks.ts";
import { child, faultAt, isMapping, items, type PathNode, text } from "./path-nodes.ts";
import { mirrorFaults, styleFaults } from "./rule-checks.ts";

/** Key pairs of one project. Two, so that one can be replaced while the other works. */
export const MAX_KEYS = 2;

/** Minimum length in characters, because anybody can guess tokens at a reachable port. */
const MIN_OPEN_TOKEN = 16;
/** Commands read the token from it, too. */
const TOKEN_VARIABLE = "HUIYUAN_ADMIN_TOKEN";

/** Every fault between keys, in no particular order. `settings`: parsed, with defaults. */
export function* crossFaults(settings: unknown): Generator<PathFault> {
  if (!isMapping(settings)) return;
  const root = { path: [], value: settings };
  const server = child(root, "server");
  const projects = items(root, "projects");
  const buckets = projects.flatMap((project) => items(project, "buckets").map((bucket) => ({ project, bucket })));
  const hosts = hostsOf(buckets, server);
  const keys = projects.flatMap((project) => items(project, "keys"));
  yield* serverFaults(server);
  yield* duplicates(projects, "appid");
  yield* duplicates(keys, "secretId");
  for (const project of projects) {
    yield* keyFaults(project);
    yield* duplicates(items(project, "buckets"), "name");
  }
  yield* storeFaults(child(root, "store"), hosts.own);
  if (text(child(root, "coordination"), "type") === "valkey" && text(child(root, "store"), "type") === "fs")
    yield faultAt(child(root, "coordination"), "type", say("valkeyNeedsS3"));
  yield* hosts.faults;
  for (const { bucket } of buckets) {
    yield* publicDomainFaults(bucket, hosts.owners);
    yield* styleFaults(bucket);
    yield* callbackFaults(child(bucket, "callback"));
    for (const domain of items(bucket, "domains")) yield* mirrorFaults(child(domain, "mirror"), hosts.own);
  }
}

function* serverFaults(server: PathNode): Generator<PathFault> {
  const { host, port, adminHost, adminPort, adminToken, healthPath } = server.value;
  const isOpen = typeof adminHost === "string" && !isLoopbackHost(adminHost);
  const characters = typeof adminToken === "string" ? adminToken.length : 0;
  if (isOpen && characters < MIN_OPEN_TOKEN) {
    const found =
      adminToken === undefined
        ? say("tokenMissing", { host: adminHost, variable: TOKEN_VARIABLE })
        : say("tokenShort", { count: characters, host: adminHost, min: MIN_OPEN_TOKEN });
    yield faultAt(server, "adminToken", found);
  }
  const isSameHost = host === adminHost || [host, adminHost].some((each) => each === "0.0.0.0" || each === "::");
  if (typeof port === "number" && port === adminPort && port !== 0 && isSameHost)
    yield faultAt(server, "adminPort", say("samePort", { port }));
  if (typeof healthPath === "string" && healthPath.startsWith("/photos/"))
    yield faultAt(server, "healthPath", say("restPath", { path: healthPath }));
}

function keyFaults(project: PathNode): readonly PathFault[] {
  const keys = items(project, "keys");
  if (keys.length > MAX_KEYS) {
    return [faultAt(project, "keys", say("manyKeys", { count: keys.length, max: MAX_KEYS }))];
  }
  if (keys.length === 0 || keys.some((key) => key.value.enabled !== false)) return [];
  return [faultAt(project, "keys", say("noKeyEnabled"))];
}

/** Faults of mappings whose value of `key` is used before. */
function* duplicates(places: readonly PathNode[], key: string): Generator<PathFault> {
  const seen = new Set<string>();
  for (const place of places) {
    const value = text(place, key);
    if (value === undefined) continue;
    if (seen.has(value)) yield faultAt(place, key, say("usedBefore", { value: JSON.stringify(value), key }));
    seen.add(value);
  }
}

/** The hosts that the settings serve, their faults, and the bucket of each host and of `*`. */
function hostsOf(buckets: readonly { readonly project: PathNode; readonly bucket: PathNode }[], server: PathNode) {
  const baseDomain = text(server, "baseDomain");
  const defaults = new Map<string, PathNode>();
  for (const { project, bucket } of buckets) {
    // The schema reports other values than texts.
    defaults.set(`${text(bucket, "name") ?? ""}-${text(project, "appid") ?? ""}.${baseDomain}`, bucket);
  }
  const bound = new Map<string, PathNode>();
  const faults: PathFault[] = [];
  for (const { bucket } of buckets) {
    for (const domain of items(bucket, "domains")) {
      const host = text(domain, "host");
      if (host === undefined) continue;
      const owner = defaults.get(host);
      const again = host === "*" ? say("secondStar") : say("boundBefore", { host });
      if (bound.has(host)) faults.push(faultAt(domain, "host", again));
      else if (owner !== undefined && owner !== bucket)
        faults.push(faultAt(domain, "host", say("othersDefault", { host })));
      bound.set(host, bucket);
    }
  }
  const owners = new Map([...bound, ...defaults]);
  bound.delete("*");
  const { host, port, adminPort } = server.value;
  const served = new Set([...bound.keys(), ...defaults.keys()]);
  return { faults, owners, own: { served, baseDomain, host, ports: [port, adminPort] } satisfies OwnAddresses };
}

/** `owners`: the bucket of each host of the settings, and of `*`. */
function publicDomainFaults(bucket: PathNode, owners: ReadonlyMap<string, PathNode>): readonly PathFault[] {
  const host = text(bucket, "publicDomain");
  // The schema has said what is wrong with a text that is no host.
  if (host === undefined || normalizeHost(host) !== host) return [];
  if ((owners.get(host) ?? owners.get("*")) === bucket) return [];
  const message = owners.has(host) ? say("othersDomain", { host }) : say("noDomain", { host });
  return [faultAt(bucket, "publicDomain", message)];
}

/** Checks literal addresses only; each dial checks the addresses of names. */
function callbackFaults(callback: PathNode): readonly PathFault[] {
  const url = text(callback, "url");
  if (url === undefined || callbackUrlFault(url) !== undefined) return [];
  const message = addressFault(url, callback.value.allowPrivate === true);
  return message === undefined ? [] : [faultAt(callback, "url", message)];
}
