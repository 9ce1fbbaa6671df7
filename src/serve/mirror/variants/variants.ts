// The variants of a bucket's images: finds them in a bucket of their own, or has them rendered once for all clients. A
// variant is keyed by the SHA-256 of its original, so other bytes make another variant. It knows neither URLs nor how
// originals are fetched.
import { abortable, type Cancellation } from "../../../async/cancellation.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key, ObjectInfo } from "../../../core/object.ts";
import { createBucket } from "../../bucket/contract/bucket.ts";
import type { VariantBucket } from "../../bucket/tier/disk/variants.ts";
import { refuseHeavy } from "../../image/formats/loaders.ts";
import { type NamedRecipe, shortHash } from "../../image/grammar/named-recipe.ts";
import { MAX_RESULT_BYTES } from "../../image/renderer.ts";
import type { ServedFrom } from "../fill/reader.ts";
import type { ImageBytes } from "../stored/image-bytes.ts";
import type { CachedObject, MemoryCache } from "../stored/memory-cache.ts";
import { createStored, type Found, type NoObject } from "../stored/stored.ts";
import {
  createRunningRenders,
  type RenderStart,
  type Result,
  type RunningRender,
  type VariantParts,
} from "./running-renders.ts";

/** An image that is laid over another. */
export interface WatermarkImage {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: ImageBytes;
}

export interface VariantRequest {
  /** The original. */
  readonly version: Pick<ObjectInfo, "hashes" | "size" | "isDamaged" | "image">;
  /** The recipe, with its output format negotiated for the client. */
  readonly named: NamedRecipe;
  /** All watermark images of the recipe, by URL without its token. */
  readonly watermarks: ReadonlyMap<string, WatermarkImage>;
  /** The bytes of the original. */
  readonly bytes: ImageBytes;
  /** False: the original may not be stored, so its variants may not either. */
  readonly isStored: boolean;
  /** Aborts when the client leaves; if no other client waits, the render leaves the queue. */
  readonly signal: Cancellation;
  /** Not called if a render is joined. */
  readonly beforeRender?: RenderStart["beforeRender"];
}

/** The caller closes the reader of a large one. `made`: rendered for this request or another one, not found stored. */
export type Variant =
  | { readonly kind: "found"; readonly found: Found }
  | {
      readonly kind: "made";
      readonly found: Found;
      readonly servedFrom: Extract<ServedFrom, "first" | "collapsed" | "after">;
    };

export interface Variants {
  /** From memory only; synchronous, for the hot path. Not for recipes with watermark images. */
  peek(version: Pick<ObjectInfo, "hashes">, named: NamedRecipe): CachedObject | undefined;
  /** Throws the codes of Renderer.render and of `beforeRender`, store_failed, not_kept, overloaded and draining. */
  get(request: VariantRequest): Promise<Variant>;
  /** The result of get() now, without rendering. If both fields are undefined, the variant would be rendered. */
  preview(request: Omit<VariantRequest, "bytes" | "signal" | "beforeRender">): Promise<{
    readonly found: CachedObject | ObjectInfo | undefined;
    readonly refusal: HuiyuanError | undefined;
  }>;
  /** A page of the stored variants of this version, by name. `after`: the name of the last one of the page before. */
  list(
    version: Pick<ObjectInfo, "hashes">,
    page: { readonly after: string | undefined; readonly limit: number; readonly signal: AbortSignal },
  ): Promise<{
    readonly variants: readonly { readonly name: string; readonly info: ObjectInfo }[];
    readonly next: string | undefined;
  }>;
  /** Removes all variants of this version, also those in progress. Never rejects. */
  drop(version: ObjectInfo): Promise<void>;
}

/** `bucketId`: `<appid>/<bucket>` of the originals. */
export function createVariants(
  bucketId: string,
  store: VariantBucket,
  memoryCache: MemoryCache,
  parts: VariantParts,
): Variants {
  const { renderer, meter, log, now } = parts;
  // No bucket of the settings can have this name.
  const id = `variants/${bucketId}`;
  const bucket = createBucket({ driver: store.driver, now, maxObjectBytes: MAX_RESULT_BYTES });
  const stored = createStored(id, bucket, memoryCache);
  const renders = createRunningRenders(stored, keepInMemory, parts);

  /** While the disk accepts nothing, a variant that is requested repeatedly must not be rendered each time. */
  function keepInMemory({ info, bytes }: Result): void {
    memoryCache.set(id, { info, body: bytes, epoch: 0 }, memoryCache.cacheRevision());
  }

  async function make(key: Key, request: VariantRequest): Promise<Variant> {
    const { named, version, bytes, watermarks, isStored, beforeRender } = request;
    const { size, image } = version;
    refuseHeavy(size, renderer.limits);
    const images = { bytes, watermarks };
    const running = renders.find(key);
    const servedFrom = running === undefined ? "first" : running.hasEnded ? "after" : "collapsed";
    if (servedFrom === "collapsed") meter.collapsed();
    const item = running ?? renders.start(key, { recipe: named.recipe, size, image, images, isStored, beforeRender });
    item.isStored ||= isStored;
    const leave = item.render.join(images);
    try {
      return { kind: "made", servedFrom, found: await resultOf(item, key, request.signal) };
    } finally {
      leave();
    }
  }

  /** A result that is too large to be held in memory for slow clients is read from the bucket. */
  async function resultOf(render: RunningRender, key: Key, client: Cancellation): Promise<Found> {
    const { info, bytes: body } = await abortable(render.result, client);
    const { chunks, maxObjectBytes } = memoryCache;
    const inMemory = { state: "loaded", object: { info, body }, free: undefined } as const;
    if (info.size <= maxObjectBytes && chunks.mayBeWhole(info.size)) return inMemory;
    await abortable(render.settled, client);
    const found = await stored.find(key);
    if (!isAbsent(found)) return found;
    if (chunks.mayBeWhole(info.size)) return inMemory;
    throw new HuiyuanError("not_kept", `Cannot send "${key}": it is not stored, and there is no room in memory`, {
      retryAfterSeconds: 1,
    });
  }

  return {
    peek: ({ hashes }, named) => stored.peek(keyOf(hashes.sha256, named.name)),
    async get(request) {
      const key = keyOf(request.version.hashes.sha256, nameOf(request));
      const found = await stored.find(key);
      return isAbsent(found) ? make(key, request) : { kind: "found", found };
    },
    async preview({ version, ...request }) {
      const key = keyOf(version.hashes.sha256, nameOf(request));
      const object = stored.peek(key);
      if (object !== undefined) return { found: object, refusal: undefined };
      const entry = await bucket.lookup(key);
      if (entry.state === "object") return { found: entry.info, refusal: undefined };
      refuseHeavy(version.size, renderer.limits);
      const refusal = renders.find(key) === undefined ? renders.failure(key) : undefined;
      return { found: undefined, refusal };
    },
    async list({ hashes: { sha256 } }, { after, limit, signal }) {
      const prefix = keyOf(sha256, "");
      const from = after === undefined ? undefined : keyOf(sha256, after);
      const { objects, next } = await bucket.list({ prefix, after: from, limit, signal });
      const nameIn = (key: Key) => key.slice(prefix.length);
      return {
        variants: objects.map((info) => ({ name: nameIn(info.key), info })),
        next: next && nameIn(next),
      };
    },
    async drop({ hashes }) {
      await renders.withdraw(hashes.sha256);
      try {
        for await (const key of store.forget(`${hashes.sha256}/`)) memoryCache.drop(id, key);
      } catch (err) {
        log.warn({ bucket: bucketId, err }, "variants of a removed image could not be removed");
      }
    },
  };
}

function isAbsent(found: Found | NoObject): found is NoObject {
  return found.state === "absent" || found.state === "tombstone";
}

function keyOf(sha256: string, name: string): Key {
  return `${sha256}/${name}` as Key; // hex digits
}

/** Other watermark images make another variant. */
function nameOf({ named, watermarks }: Pick<VariantRequest, "named" | "watermarks">): string {
  if (named.watermarks.length === 0) return named.name;
  return shortHash([named.name, ...named.watermarks.map((url) => watermarks.get(url)?.sha256)].join("\n"));
}
