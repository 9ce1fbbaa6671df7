// Part of the composition root: makes this server a node of a cluster, if the settings name a Valkey.
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { Log } from "../../core/log.ts";
import { readVersion } from "../../core/version.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { type Cluster, createCluster } from "../cluster/cluster.ts";
import { connectValkey } from "../cluster/valkey.ts";

/** Undefined: there are no other nodes. Both functions are called at each round. */
export function joinCluster(settings: () => Settings, requests: () => number, log: Log): Cluster | undefined {
  const { coordination, data } = settings();
  if (coordination.type === "local") return undefined;
  const name = coordination.name ?? `${hostname()}-${digestOf(resolve(data))}`;
  const startedAt = Date.now();
  const version = readVersion();
  let known: { readonly settings: Settings; readonly digest: string } | undefined;
  const settingsDigest = () => {
    const current = settings();
    if (known?.settings !== current) known = { settings: current, digest: sharedDigest(current) };
    return known.digest;
  };
  return createCluster({
    connect: () => connectValkey(coordination),
    facts: () => ({ name, version, settings: settingsDigest(), startedAt, requests: requests() }),
    dir: data,
    log,
  });
}

/** The digest of the settings that must agree on all nodes. Addresses, folders and limits are a node's own. */
function sharedDigest({ projects, store, coordination }: Settings): string {
  const { name: _, ...shared } = coordination.type === "valkey" ? coordination : { name: undefined };
  return digestOf(JSON.stringify([projects, store, shared]));
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
