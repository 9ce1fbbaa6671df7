// Which bucket and which object a caller means: by the URL under which clients ask for it, or by bucket and key.
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, toKey } from "../../core/object.ts";
import type { Stored } from "../../mirror/stored/stored.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { aliasIn, nameObject, type ObjectUrl } from "../request/object-name.ts";
import type { Site, Sites } from "../request/site.ts";
import { parseTarget, type Target } from "../request/target.ts";
import { invalid } from "./input.ts";

/** The domains in force. */
export interface Domains {
  readonly sites: Sites;
  /** All of them, `*` last. */
  domains(): readonly Site[];
}

export interface NamedObject {
  readonly stored: Stored;
  readonly key: Key;
}

/** Undefined: the text is a key. A key that begins like a URL can be named by a URL only. */
export function readUrl(text: string): Target | undefined {
  if (!/^https?:\/\//i.test(text)) return undefined;
  // As it comes over the wire, one character a byte.
  return parseTarget(Buffer.from(text).toString("latin1"), []);
}

/** Throws domain_unknown. */
export function siteOf({ host }: Target, sites: Sites): Site {
  const site = sites.find(host);
  if (site === undefined) throw new HuiyuanError("domain_unknown", `no bucket is bound to the host "${host}"`);
  return site;
}

/** What a GET for the target would ask a domain for. */
export function urlOf({ host, key, rawQuery }: Target): ObjectUrl {
  return { host, path: key, query: tokenFromQuery(rawQuery).rest, method: "GET" };
}

/**
 * The bucket `<appid>/<name>`, or the one of this name; without a name the only one. Throws request_invalid, which lists
 * the buckets there are.
 */
export function bucketNamed(name: string | undefined, { domains }: Domains): Stored {
  const all = new Map(domains().map(({ stored }) => [stored.bucketId, stored]));
  const fitting = [...all.values()].filter(
    ({ bucketId }) => name === undefined || bucketId === name || bucketId.endsWith(`/${name}`),
  );
  const [only] = fitting;
  const ids = [...all.keys()].join(", ");
  if (only === undefined) throw invalid(`there is no bucket "${name ?? ""}"; there are ${ids || "none"}`);
  if (fitting.length > 1) throw invalid(`there are several buckets, name one (--bucket; "bucket" in a call): ${ids}`);
  return only;
}

/** A domain by its host; without one the first of the bucket's that is mirrored, as the settings list them. Throws request_invalid. */
export function domainNamed(host: string | undefined, bucket: () => Stored, { domains }: Domains): Site {
  const all = domains();
  if (host !== undefined) {
    const site = all.find(({ domain }) => domain === host.toLowerCase());
    if (site === undefined)
      throw invalid(`there is no domain "${host}"; there are ${all.map(({ domain }) => domain).join(", ")}`);
    return site;
  }
  const { bucketId } = bucket();
  const site = all.find(({ stored, source }) => stored.bucketId === bucketId && source !== undefined);
  if (site === undefined) throw invalid(`no domain of the bucket ${bucketId} has a mirror`);
  return site;
}

/**
 * `bucket`: the bucket of keys. A URL stands for the original that it shows: its processing and its alias are left out.
 * Throws url_invalid, host_invalid, domain_unknown, and what `bucket` and the store throw.
 */
export async function findNamed(name: string, bucket: () => Stored, { sites }: Domains): Promise<NamedObject> {
  const target = readUrl(name);
  if (target === undefined) return { stored: bucket(), key: toKey(name) };
  const site = siteOf(target, sites);
  const { stored } = site;
  const url = urlOf(target);
  const { key } = nameObject(site, url);
  const base = aliasIn(site, url)?.base;
  if (base === undefined) return { stored, key };
  // An object that is really named so comes first, as on the download path.
  const entry = await stored.bucket.lookup(key);
  if (entry.state === "object") return { stored, key };
  // An order must not fall upon another object than is meant.
  if (entry.state === "absent" && entry.failure !== undefined) throw entry.failure;
  return { stored, key: base };
}
