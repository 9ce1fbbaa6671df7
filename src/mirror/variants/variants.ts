// Variants of a bucket's images: a mirror whose origin is the renderer, with a bucket and a place in memory of its own. A
// variant is named by the version of its original (the SHA-256), so that one of other bytes is another variant. It knows
// neither URLs nor where originals come from.

import type { Cancellation } from "../../async/cancellation.ts";
import { createVariantGate } from "../../body/gate/variant-gate.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import { createBucket } from "../../bucket/contract/bucket.ts";
import type { BucketDriver } from "../../bucket/contract/driver.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { refuseHeavy } from "../../image/formats/loaders.ts";
import { type NamedRecipe, shortHash } from "../../image/grammar/named-recipe.ts";
import { foreseenRefusal, foreseenWeight } from "../../image/limits/foreseen.ts";
import { createRenderOrigin, type RenderJob, type RenderMeter } from "../../image/render-origin.ts";
import { MAX_RESULT_BYTES, type Renderer } from "../../image/renderer.ts";
import type { Join, MissAnswer } from "../fill/join.ts";
import { createMirror, type MirrorParts } from "../mirror.ts";
import type { CachedObject, MemoryCache } from "../stored/memory-cache.ts";
import { createStored, type Found } from "../stored/stored.ts";
import { bringAll, type ImageBytes } from "./image-bytes.ts";
import { isOthersFault, watchingReads } from "./joined-render.ts";
import { createVersions } from "./variant-versions.ts";

/** An image that is laid over another. */
export interface WatermarkImage {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: ImageBytes;
}

export interface VariantRequest {
  /** Of the original. */
  readonly version: Pick<ObjectInfo, "hashes" | "size" | "isDamaged" | "image">;
  /** What `moment` said before that was looked up. */
  readonly since: number;
  /** Settled for the client. */
  readonly named: NamedRecipe;
  /** By URL without its token; all that the recipe names. */
  readonly watermarks: ReadonlyMap<string, WatermarkImage>;
  /** The original's. */
  readonly bytes: ImageBytes;
  /** False: the original may not be kept, and so neither what is made of it. */
  readonly isStored: boolean;
  /** Aborts when the client leaves: where nobody else waits, the place in the queue is given up. */
  readonly signal: Cancellation;
}

/** The caller closes the reader, or calls `release`. */
export type Variant =
  | { readonly kind: "found"; readonly found: Extract<Found, { readonly state: "memory" | "loaded" | "large" }> }
  | {
      readonly kind: "made";
      readonly info: ObjectInfo;
      /** Undefined: on disk, in the spool. */
      readonly body: Buffer | undefined;
      readonly spool: Spool;
      readonly how: Join;
      release(): void;
    };

export interface Variants {
  /** From memory only; synchronous, for the hot path. Never of a recipe with image marks. */
  peek(version: Pick<ObjectInfo, "hashes">, named: NamedRecipe): CachedObject | undefined;
  /** To be asked before a version is looked up: what goes after it is nothing that may be kept. */
  moment(): number;
  /** Throws the codes of Renderer.render, store_full and store_failed. */
  get(request: VariantRequest): Promise<Variant>;
  /** What get() would come to now; it makes nothing. Neither: the variant would be made. */
  preview(request: Omit<VariantRequest, "since" | "bytes" | "signal">): Promise<{
    readonly found: CachedObject | ObjectInfo | undefined;
    readonly refusal: HuiyuanError | undefined;
  }>;
  /** Lets go of all that was made of these bytes. Never rejects. */
  drop(version: ObjectInfo): Promise<void>;
}

/** A bucket of variants alone. */
export interface VariantStore {
  readonly driver: BucketDriver;
  /** Removes all whose keys begin so, and says which they were. */
  forget(prefix: string): AsyncGenerator<Key, void, undefined>;
}

export interface VariantsOptions {
  /** `<appid>/<bucket>` of the originals. */
  readonly bucketId: string;
  readonly store: VariantStore;
  readonly memoryCache: MemoryCache;
  readonly renderer: Renderer;
  readonly meter: RenderMeter;
  /** Of the variants' own: their fetches are renders, and take no place of the others. */
  readonly mirror: MirrorParts;
}

/** The renderer has its own, shorter deadlines. */
const PATIENCE_MS = 900_000;
/** The renderer has its own, shorter line. */
const MAX_RENDERS = 4_096;
const MAX_LOOSE = 4_096;
/** So long nobody is kept busy again by an image that cannot be processed. Milliseconds. */
const HOPELESS_MS = 10_000;
const HOPELESS: readonly ErrorCode[] = [
  "processing_invalid",
  "image_not_processable",
  "image_too_heavy",
  "image_too_large",
  "output_too_large",
  "render_timeout",
  "render_failed",
];

export function createVariants(options: VariantsOptions): Variants {
  const { bucketId, store, memoryCache, renderer, meter, mirror: parts } = options;
  const { log } = parts;
  // A name that no bucket of the settings has.
  const id = `variants/${bucketId}`;
  const versions = createVersions();
  /** In memory alone. */
  const loose = new Set<Key>();
  const driver = versions.guard(store, keepLoose);
  const bucket = createBucket({ driver, now: parts.now, maxObjectBytes: MAX_RESULT_BYTES });
  const stored = createStored(id, bucket, memoryCache);
  const origin = createRenderOrigin(renderer, meter);
  const mirror = createMirror(
    {
      stored,
      origin,
      connections: MAX_RENDERS,
      headMiss: "store",
      negativeTtlMs: 0,
      suspects: "pass",
      freshness: undefined,
      onGone: "keep",
      timeouts: { connect: PATIENCE_MS, firstByte: PATIENCE_MS, idle: PATIENCE_MS, total: PATIENCE_MS },
      maxObjectBytes: MAX_RESULT_BYTES,
      openGate: createVariantGate,
      failureMs: ({ code }) => (HOPELESS.includes(code) ? HOPELESS_MS : 0),
    },
    // What clients ask for in vain is in their answers, and no operator's affair.
    { ...parts, log: withoutWarnings(log) },
  );

  /** While the disk takes nothing, what is asked for again and again must not be rendered again and again. */
  function keepLoose(info: ObjectInfo, { content }: WholeBody): void {
    if (content.kind !== "buffer") return;
    memoryCache.set(id, { info, body: content.buffer, epoch: 0 }, memoryCache.generation);
    loose.add(info.key);
    const [oldest] = loose;
    if (loose.size > MAX_LOOSE && oldest !== undefined) letGo(oldest);
  }

  function letGo(key: Key): void {
    loose.delete(key);
    memoryCache.drop(id, key);
  }

  /** Waits for the end, which a render has soon: only a proven variant has an ETag. */
  async function madeOf(miss: MissAnswer): Promise<Variant> {
    if (miss.kind === "asked") throw new HuiyuanError("internal", "Cannot make a variant: it was only asked for");
    const { head, how, release } = miss;
    const { spool, answer } = head;
    const made = (info: ObjectInfo, body = wholeIn(spool)) =>
      ({ kind: "made", info, body, spool, how, release }) as const;
    if (miss.kind === "finished") {
      origin.releaseBytes(answer);
      return made(miss.info);
    }
    try {
      const end = await miss.reader.end();
      if (end.kind === "whole") {
        origin.releaseBytes(answer);
        return made(end.info);
      }
      if (end.kind === "unstored" && end.damage === undefined) {
        // The disk is full: serving goes on.
        const bytes = origin.bytesOf(answer);
        if (bytes !== undefined) return made(end.info, bytes);
        throw end.error;
      }
      if (end.kind === "failed") throw end.error;
      throw new HuiyuanError("render_failed", `Cannot process: the result is no whole image (${end.kind})`);
    } catch (error) {
      release();
      throw error;
    }
  }

  async function make(key: Key, request: VariantRequest): Promise<Variant> {
    const { isStored, signal, since, version } = request;
    refuseHeavy(version.size, renderer.limits);
    const leave = origin.register(key, jobOf(request));
    try {
      return await madeOf(await mirror.fetch({ ...fetchOf(key, versions.epochOf(key, since), isStored), signal }));
    } catch (error) {
      throw ownFault(error);
    } finally {
      leave();
    }
  }

  return {
    peek: ({ hashes }, named) => stored.peek(keyOf(hashes.sha256, named.name)),
    moment: versions.moment,
    async get(asked) {
      const { request, isRead } = watchingReads(asked);
      const key = keyOf(request.version.hashes.sha256, nameOf(request));
      for (let attempt = 1; ; attempt += 1) {
        const found = await stored.find(key);
        if (found.state === "tombstone") throw new HuiyuanError("internal", `Cannot make "${key}": it was deleted`);
        if (found.state !== "absent") return { kind: "found", found };
        try {
          return await make(key, request);
        } catch (error) {
          if (attempt === 3 || !isOthersFault(error, request, isRead())) throw error;
        }
      }
    },
    async preview({ version, isStored, ...request }) {
      const key = keyOf(version.hashes.sha256, nameOf(request));
      const object = stored.peek(key);
      if (object !== undefined) return { found: object, refusal: undefined };
      const entry = await bucket.lookup(key);
      if (entry.state === "object") return { found: entry.info, refusal: undefined };
      const { limits } = renderer;
      const tooHeavy = foreseenWeight(version.size, limits);
      if (tooHeavy !== undefined) return { found: undefined, refusal: tooHeavy };
      const asked = fetchOf(key, versions.epochOf(key, versions.moment()), isStored);
      const { refusal = foreseenRefusal(request.named.recipe, version.image, limits) } =
        await mirror.preview.miss(asked);
      return { found: undefined, refusal };
    },
    async drop({ hashes }) {
      versions.raise(hashes.sha256);
      for (const key of loose) if (key.startsWith(hashes.sha256)) letGo(key);
      try {
        for await (const key of store.forget(`${hashes.sha256}/`)) memoryCache.drop(id, key);
      } catch (err) {
        log.warn({ bucket: bucketId, err }, "variants of an image that has gone could not be removed");
      }
    },
  };
}

/** Each method is called on the logger itself: a copy of that has none of its inner ones. */
function withoutWarnings(log: Log): Log {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.debug(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

/** No origin has a part in what the gate says of a result. */
function ownFault(error: unknown): unknown {
  if (!(error instanceof HuiyuanError) || !error.code.startsWith("origin_")) return error;
  return new HuiyuanError("render_failed", `Cannot process: the result is no whole image (${error.code})`, {
    cause: error,
  });
}

function wholeIn({ end }: Spool): Buffer | undefined {
  return end?.kind === "whole" && end.body.content.kind === "buffer" ? end.body.content.buffer : undefined;
}

function fetchOf(key: Key, epoch: number, isStored: boolean) {
  const asked = { key, path: key, query: "", headers: {}, followsRedirects: false, isStored, epoch };
  return { ...asked, method: "GET", via: undefined, cdnLoop: undefined } as const;
}

function keyOf(sha256: string, name: string): Key {
  return `${sha256}/${name}` as Key; // hex digits
}

/** Other marks make another variant. */
function nameOf({ named, watermarks }: Pick<VariantRequest, "named" | "watermarks">): string {
  if (named.watermarks.length === 0) return named.name;
  return shortHash([named.name, ...named.watermarks.map((url) => watermarks.get(url)?.sha256)].join("\n"));
}

function jobOf({ named, version, watermarks, bytes }: VariantRequest): RenderJob {
  const isFar = bytes.bring !== undefined || [...watermarks.values()].some((mark) => mark.bytes.bring !== undefined);
  return {
    recipe: named.recipe,
    size: version.size,
    image: version.image,
    load: bytes.load,
    loadImage: async (url) => watermarks.get(url)?.bytes.load(),
    prefetch: isFar ? () => bringAll(bytes, watermarks) : undefined,
  };
}
