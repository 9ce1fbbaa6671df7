// A site without effects: its mirrors, bucket, variants and tokens read metadata only, and note the work to be done.
// dry-run.ts passes it to the download port's own functions.

import { CancellationSource } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import type { ObjectReader } from "../../bucket/contract/driver.ts";
import type { Recipe } from "../../image/grammar/recipe.ts";
import type { Mirror, MirrorPreview } from "../../mirror/mirror.ts";
import type { OriginRequest } from "../../mirror/rules.ts";
import type { Stored } from "../../mirror/stored/stored.ts";
import type { Variants } from "../../mirror/variants/variants.ts";
import { HIDDEN } from "../../origin/kinds/http-rules.ts";
import type { OriginAnswer, OriginPreview } from "../../origin/origin.ts";
import type { Authorizer, DownloadGrant, MirrorSource, Route, Site } from "../request/site.ts";

/**
 * A fetch that would be made. `miss`: the client waits for the object. `refresh`: the client waits for a revalidation.
 * `behind`: it runs in the background.
 */
export interface DryFetch extends MirrorPreview {
  readonly why: "miss" | "refresh" | "behind";
  readonly route: Route;
  readonly key: Key;
  /** False: the answer is not stored, because it depends on more than the key or is only passed on. */
  readonly isStored: boolean;
  /** With `refresh`: the stored object is served if the origin fails. */
  readonly mayServeStale?: boolean;
}

/** The work that the dry-run site was requested to do. */
export interface DryRunTrace {
  readonly routes: Route[];
  /** The grant of each token check, or its failure. */
  readonly tokens: (DownloadGrant | HuiyuanError)[];
  readonly fetches: DryFetch[];
  /** Variants that would be rendered. */
  readonly renders: Recipe[];
  /** The run waits for `work` before it ends. An error of `work` does not fail the run. */
  track<Value>(work: Promise<Value>): Promise<Value>;
}

export function createDryRunSite(site: Site, notes: DryRunTrace): Site {
  const { authorizer, originalAuthorizer, source } = site;
  return {
    ...site,
    stored: dryRunStored(site.stored, notes),
    authorizer: authorizer && dryRunAuthorizer(authorizer, notes),
    originalAuthorizer: originalAuthorizer && dryRunAuthorizer(originalAuthorizer, notes),
    source: source && dryRunSource(source, notes),
    variants: dryRunVariants(site.variants, notes),
  };
}

function dryRunAuthorizer(authorizer: Authorizer, notes: DryRunTrace): Authorizer {
  return { ...authorizer, admit: (sign, key) => dryRunGrant(() => authorizer.admit(sign, key), notes) };
}

function dryRunGrant(admit: () => DownloadGrant, { tokens }: DryRunTrace): DownloadGrant {
  try {
    const grant = admit();
    tokens.push(grant);
    const { spend, isSpent } = grant;
    return { ...grant, spend: spend && (async () => isSpent?.() !== true) };
  } catch (error) {
    if (error instanceof HuiyuanError) tokens.push(error);
    throw error;
  }
}

/** Looks keys up and reads no bytes: objects have their real size and consist of zeros. */
function dryRunStored(stored: Stored, notes: DryRunTrace): Stored {
  // Asks the bucket itself, because stored.lookup() would cache the result.
  const lookup = (key: Key) => notes.track(stored.bucket.lookup(key));
  const refuse = async (): Promise<never> => {
    throw new HuiyuanError("internal", "Cannot change or read a bucket: this is a dry run");
  };
  const changes = { put: refuse, renew: refuse, delete: refuse, undelete: refuse, purge: refuse };
  return {
    ...stored,
    ...changes,
    load: refuse,
    bytesOf: () => ({ load: refuse }),
    lookup,
    bucket: { ...stored.bucket, ...changes, copy: refuse, lookup },
    find: refuse,
    async open({ info }) {
      refuseDamaged(info);
      return { state: "large", info, reader: ZEROS };
    },
  };
}

/** Throws as the reader of the object would. */
function refuseDamaged({ isDamaged }: Pick<ObjectInfo, "isDamaged">): void {
  if (isDamaged === true) throw new HuiyuanError("store_corrupt", "Cannot read an object: its bytes are damaged");
}

const ZEROS: ObjectReader = { read: async (start, end) => Buffer.alloc(end - start + 1), close() {} };

/** Finds existing variants and notes a render instead of starting it. */
function dryRunVariants(variants: Variants, notes: DryRunTrace): Variants {
  return {
    ...variants,
    async get(request) {
      const { found, refusal } = await variants.preview(request);
      if (refusal !== undefined) throw refusal;
      if (found === undefined) {
        refuseDamaged(request.version);
        notes.renders.push(request.named.recipe);
        throw new HuiyuanError("internal", "Cannot make a variant: this is a dry run");
      }
      if ("body" in found) return { kind: "found", found: { state: "memory", object: found } };
      return { kind: "found", found: { state: "large", info: found, reader: ZEROS } };
    },
    async drop() {},
  };
}

function dryRunSource(source: MirrorSource, notes: DryRunTrace): MirrorSource {
  return {
    ...source,
    route(url) {
      const route = source.route(url);
      notes.routes.push(route);
      return { ...route, mirror: dryRunMirror(route, notes) };
    },
  };
}

function dryRunMirror(route: Route, notes: DryRunTrace): Mirror {
  const { mirror } = route;
  const note = (
    why: DryFetch["why"],
    originRequest: Omit<OriginRequest, "isStored">,
    preview: MirrorPreview & Partial<Pick<DryFetch, "isStored" | "mayServeStale">>,
  ) => {
    const asks = preview.asks.map((each) => maskSecrets(each, route));
    notes.fetches.push({ isStored: true, ...preview, asks, why, route, key: originRequest.key });
  };
  return {
    ...mirror,
    async fetch(request) {
      const preview = await mirror.preview.miss(request);
      const isHead = !preview.isRunning && preview.asks.some(({ method }) => method === "HEAD");
      note("miss", request, { ...preview, isStored: request.isStored && !isHead });
      if (preview.refusal !== undefined) throw preview.refusal;
      // As a HEAD: the download then starts its background fetches too, which are noted.
      return { kind: "head", answer: UNKNOWN_ANSWER, requestedAt: Date.now(), servedFrom: "first" };
    },
    async revalidate(object, request) {
      const preview = await mirror.preview.revalidation(object, request);
      if (preview.kept !== undefined) return preview.kept;
      note("refresh", request, { ...preview, mayServeStale: request.mayServeStale });
      if (preview.refusal !== undefined && !request.mayServeStale) throw preview.refusal;
      return { kind: "kept", why: preview.refusal === undefined ? "current" : "failed" };
    },
    begin(request) {
      const preview = mirror.preview.miss({ ...request, method: "GET" });
      // preview throws origin_loop if the request came back to this server; then no fetch would start.
      notes
        .track(preview.then((seen) => note("behind", request, { ...seen, isStored: request.isStored })))
        .catch(() => undefined);
    },
    revalidation: {
      ...mirror.revalidation,
      begin(object, request) {
        const preview = mirror.preview.revalidation(object, request);
        notes.track(preview.then((seen) => seen.kept ?? note("behind", request, seen))).catch(() => undefined);
      },
    },
  };
}

/** Stands for the origin's unknown answer. */
const UNKNOWN_ANSWER: OriginAnswer = {
  isNotModified: false,
  url: "",
  size: undefined,
  framing: "length",
  digests: {},
  etag: undefined,
  lastModified: undefined,
  life: {},
  headers: {},
  headMs: 0,
  body: { start() {}, resume() {}, destroy() {}, over: Promise.resolve(undefined) },
  desync: new CancellationSource(),
};

/** Hides query values that the operator adds. */
function maskSecrets(request: OriginPreview, { setQuery }: Route): OriginPreview {
  const secrets = new Set(Object.entries(setQuery).map(([name, value]) => `${name}=${value}`));
  const queryStart = request.url.indexOf("?");
  const query = queryStart === -1 ? [] : request.url.slice(queryStart + 1).split("&");
  const shown = query.map((part) => (secrets.has(part) ? `${part.split("=", 1)[0]}=${HIDDEN}` : part));
  return queryStart === -1 ? request : { ...request, url: `${request.url.slice(0, queryStart)}?${shown.join("&")}` };
}
