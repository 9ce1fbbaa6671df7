// Rules that need more than one key of the settings. They read a tree that may be faulty elsewhere: whatever does not
// have the expected shape is passed over, because the schema reports it.
import type { PathFault, SettingsPath } from "./faults.ts";
import { isLoopbackHost, normalizeHost } from "./hosts.ts";
import { headerNameFault, MAX_ORIGIN_HEADERS, originUrlFault, privateOriginFault } from "./origin-rules.ts";

/** Key pairs of one project: two, so that one can be replaced while the other works. */
export const MAX_KEYS = 2;

type Mapping = Readonly<Record<string, unknown>>;

/** A mapping of the tree and where it stands. */
interface Place {
  readonly path: SettingsPath;
  readonly value: Mapping;
}

/** Every fault between keys, in no special order. `settings`: as parsed, with defaults. */
export function crossFaults(settings: unknown): readonly PathFault[] {
  if (!isMapping(settings)) return [];
  const root = { path: [], value: settings };
  const server = child(root, "server");
  const projects = items(root, "projects");
  const buckets = projects.flatMap((project) => items(project, "buckets").map((bucket) => ({ project, bucket })));
  const hosts = hostsOf(buckets, server);
  return [
    ...serverFaults(server),
    ...duplicates(projects, "appid"),
    ...duplicates(
      projects.flatMap((project) => items(project, "keys")),
      "secretId",
    ),
    ...projects.flatMap((project) => [...keyFaults(project), ...duplicates(items(project, "buckets"), "name")]),
    ...hosts.faults,
    ...buckets.flatMap(({ bucket }) => aliasFaults(bucket)),
    ...buckets.flatMap(({ bucket }) => items(bucket, "domains")).flatMap((domain) => mirrorFaults(domain, hosts)),
  ];
}

function serverFaults({ path, value }: Place): readonly PathFault[] {
  const { host, port, adminHost, adminPort, adminToken } = value;
  const faults: PathFault[] = [];
  if (typeof adminHost === "string" && !isLoopbackHost(adminHost) && adminToken === undefined) {
    faults.push({
      path: [...path, "adminToken"],
      message: `is missing, wanted a token because adminHost ${adminHost} is not loopback`,
    });
  }
  const isSameHost = host === adminHost || [host, adminHost].some((each) => each === "0.0.0.0" || each === "::");
  if (typeof port === "number" && port === adminPort && port !== 0 && isSameHost) {
    faults.push({ path: [...path, "adminPort"], message: `found ${port}, which is server.port; wanted another one` });
  }
  return faults;
}

function keyFaults(project: Place): readonly PathFault[] {
  const keys = items(project, "keys");
  if (keys.length > MAX_KEYS) {
    return [{ path: [...project.path, "keys"], message: `found ${keys.length} key pairs, wanted at most ${MAX_KEYS}` }];
  }
  if (keys.length === 0 || keys.some((key) => key.value.enabled !== false)) return [];
  return [{ path: [...project.path, "keys"], message: "every key pair is disabled, wanted at least one enabled" }];
}

/** Mappings in which the text of `key` has stood before. */
function duplicates(places: readonly Place[], key: string): readonly PathFault[] {
  const seen = new Set<string>();
  return places.flatMap(({ path, value }) => {
    const text = value[key];
    if (typeof text !== "string") return [];
    if (seen.has(text))
      return [{ path: [...path, key], message: `${JSON.stringify(text)} is used before, wanted another ${key}` }];
    seen.add(text);
    return [];
  });
}

/** The hosts that this file serves. */
interface Hosts {
  readonly faults: readonly PathFault[];
  readonly served: ReadonlySet<string>;
  readonly baseDomain: string | undefined;
  readonly port: unknown;
}

function hostsOf(buckets: readonly { readonly project: Place; readonly bucket: Place }[], server: Place): Hosts {
  const baseDomain = typeof server.value.baseDomain === "string" ? server.value.baseDomain : undefined;
  const defaults = new Map<string, Place>();
  for (const { project, bucket } of buckets) {
    defaults.set(`${bucket.value.name}-${project.value.appid}.${baseDomain}`, bucket);
  }
  const bound = new Set<string>();
  const faults: PathFault[] = [];
  for (const { bucket } of buckets) {
    for (const { path, value } of items(bucket, "domains")) {
      if (typeof value.host !== "string") continue;
      const { host } = value;
      const owner = defaults.get(host);
      if (bound.has(host)) {
        const message =
          host === "*" ? 'a second "*", wanted one in the whole file' : `${host} is bound before, wanted it once`;
        faults.push({ path: [...path, "host"], message });
      } else if (owner !== undefined && owner !== bucket) {
        faults.push({ path: [...path, "host"], message: `${host} is the default domain of another bucket` });
      }
      bound.add(host);
    }
  }
  bound.delete("*");
  return { faults, served: new Set([...bound, ...defaults.keys()]), baseDomain, port: server.value.port };
}

function aliasFaults(bucket: Place): readonly PathFault[] {
  const aliases = child(bucket, "aliases");
  const names = Object.keys(aliases.value);
  const separators = Array.isArray(bucket.value.separators) ? bucket.value.separators.map(String) : [];
  if (names.length > 0 && separators.length === 0) {
    return [
      { path: [...bucket.path, "separators"], message: "is empty, wanted a separator because there are aliases" },
    ];
  }
  return names.flatMap((name) => {
    const separator = separators.find((each) => name.includes(each));
    if (separator === undefined) return [];
    return [
      {
        path: [...aliases.path, name],
        at: "key",
        message: `the name contains the separator ${separator}, wanted another name`,
      },
    ] satisfies PathFault[];
  });
}

function mirrorFaults(domain: Place, hosts: Hosts): readonly PathFault[] {
  const mirror = child(domain, "mirror");
  const { path, value: timeouts } = child(mirror, "timeouts");
  const faults = items(mirror, "origins").flatMap((origin) => [...urlFaults(origin, hosts), ...headerFaults(origin)]);
  const { firstByte, total } = timeouts;
  if (typeof firstByte === "number" && typeof total === "number" && total < firstByte) {
    faults.push({
      path: [...path, "total"],
      message: `found ${total}ms, wanted at least the ${firstByte}ms of firstByte`,
    });
  }
  return faults;
}

function urlFaults({ path, value }: Place, hosts: Hosts): readonly PathFault[] {
  const { url, allowPrivate } = value;
  if (typeof url !== "string" || originUrlFault(url) !== undefined) return [];
  const message = ownHostFault(url, hosts) ?? (allowPrivate === true ? undefined : privateOriginFault(url));
  return message === undefined ? [] : [{ path: [...path, "url"], message }];
}

/** A mirror of itself would ask itself for ever. A loopback name is ours at our own port only: any service may live there. */
function ownHostFault(text: string, hosts: Hosts): string | undefined {
  const url = new URL(text);
  const host = normalizeHost(url.hostname);
  if (host === undefined) return undefined;
  const isBelowBase =
    hosts.baseDomain !== undefined && (host === hosts.baseDomain || host.endsWith(`.${hosts.baseDomain}`));
  if (!isBelowBase && !hosts.served.has(host)) return undefined;
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  if (isLoopbackHost(host) && port !== hosts.port) return undefined;
  return `${host} is served from here, wanted an origin elsewhere`;
}

function headerFaults(origin: Place): readonly PathFault[] {
  const { path, value } = child(origin, "headers");
  const names = Object.keys(value);
  const seen = new Set<string>();
  const faults: PathFault[] = [];
  if (names.length > MAX_ORIGIN_HEADERS) {
    faults.push({ path, message: `found ${names.length} headers, wanted at most ${MAX_ORIGIN_HEADERS}` });
  }
  for (const name of names) {
    const isRepeated = seen.has(name.toLowerCase());
    const message = headerNameFault(name) ?? (isRepeated ? "this header is set before" : undefined);
    if (message !== undefined) faults.push({ path: [...path, name], at: "key", message });
    seen.add(name.toLowerCase());
  }
  return faults;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The mapping under a key; an empty one where there is none. */
function child({ path, value }: Place, key: string): Place {
  const inner = value[key];
  return { path: [...path, key], value: isMapping(inner) ? inner : {} };
}

/** The mappings of the list under a key. */
function items({ path, value }: Place, key: string): readonly Place[] {
  const list = value[key];
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown, index) =>
    isMapping(item) ? [{ path: [...path, key, index], value: item }] : [],
  );
}
