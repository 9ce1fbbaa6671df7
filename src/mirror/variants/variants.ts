// The variants of a bucket's images: a mirror whose origin is the renderer, with a bucket of its own. A variant is
// keyed by the SHA-256 of its original, so other bytes make another variant. It knows neither URLs nor how originals
// are fetched.

import type { Cancellation } from "../../async/cancellation.ts";
import { createVariantGate } from "../../body/gate/variant-gate.ts";
import type { Spool, WholeBody } from "../../body/spool/spool.ts";
import { createBucket } from "../../bucket/contract/bucket.ts";
import { type ErrorCode, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Key, ObjectInfo } from "../../core/object.ts";
import { refuseHeavy } from "../../image/formats/loaders.ts";
import { type NamedRecipe, shortHash } from "../../image/grammar/named-recipe.ts";
import { foreseenRefusal, foreseenWeight } from "../../image/limits/foreseen.ts";
import { createRenderOrigin, type RenderJob, type RenderMeter } from "../../image/render-origin.ts";
import { MAX_RESULT_BYTES, type Renderer } from "../../image/renderer.ts";
import type { Join, MissAnswer } from "../fill/reader.ts";
import { createMirror } from "../mirror.ts";
import type { MirrorParts } from "../mirror-context.ts";
import type { CachedObject, MemoryCache } from "../stored/memory-cache.ts";
import { createStored, type Found } from "../stored/stored.ts";
import { downloadAll, type ImageBytes, watchReads } from "./image-bytes.ts";
import { createVersions, type VariantStore } from "./variant-versions.ts";

/** An image that is laid over another. */
export interface WatermarkImage {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: ImageBytes;
}

export interface VariantRequest {
  /** The original. */
  readonly version: Pick<ObjectInfo, "hashes" | "size" | "isDamaged" | "image">;
  /** The result of moment() before the original was looked up. */
  readonly since: number;
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
}

/** The caller closes the reader, or calls `release`. */
export type Variant =
  | { readonly kind: "found"; readonly found: Found }
  | {
      readonly kind: "made";
      readonly info: ObjectInfo;
      /** Undefined: the body is on disk, in the spool. */
      readonly body: Buffer | undefined;
      readonly spool: Spool;
      readonly how: Join;
      release(): void;
    };

export interface Variants {
  /** From memory only; synchronous, for the hot path. Not for recipes with watermark images. */
  peek(version: Pick<ObjectInfo, "hashes">, named: NamedRecipe): CachedObject | undefined;
  /** Call it before an original is looked up: variants of a version that is removed after it are not stored. */
  moment(): number;
  /** Throws the codes of Renderer.render, store_full and store_failed. */
  get(request: VariantRequest): Promise<Variant>;
  /** The result of get() now, without rendering. If both fields are undefined, the variant would be rendered. */
  preview(request: Omit<VariantRequest, "since" | "bytes" | "signal">): Promise<{
    readonly found: CachedObject | ObjectInfo | undefined;
    readonly refusal: HuiyuanError | undefined;
  }>;
  /** Removes all variants of this version. Never rejects. */
  drop(version: ObjectInfo): Promise<void>;
}

export interface VariantsOptions {
  /** `<appid>/<bucket>` of the originals. */
  readonly bucketId: string;
  readonly store: VariantStore;
  readonly memoryCache: MemoryCache;
  readonly renderer: Renderer;
  readonly meter: RenderMeter;
  /** Its limits are separate from those of other mirrors: the fetches of this one are renders. */
  readonly mirror: MirrorParts;
}

/** The deadlines of the renderer are shorter. */
const MAX_WAIT_MS = 900_000;
/** The queue of the renderer is shorter. */
const MAX_RENDERS = 4_096;
const MAX_MEMORY_ONLY = 4_096;
/** An image that cannot be processed is not rendered again for this time. Milliseconds. */
const UNPROCESSABLE_MS = 10_000;
const UNPROCESSABLE: readonly ErrorCode[] = [
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
  // No bucket of the settings can have this name.
  const id = `variants/${bucketId}`;
  const versions = createVersions();
  /** Variants that are in memory but not in the bucket, the oldest first. */
  const memoryOnly = new Set<Key>();
  const driver = versions.guard(store, keepInMemory);
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
      timeouts: { connect: MAX_WAIT_MS, firstByte: MAX_WAIT_MS, idle: MAX_WAIT_MS, total: MAX_WAIT_MS },
      maxObjectBytes: MAX_RESULT_BYTES,
      openGate: createVariantGate,
      failureMs: ({ code }) => (UNPROCESSABLE.includes(code) ? UNPROCESSABLE_MS : 0),
    },
    // A failed render is reported to its client; it is no warning for the operator.
    { ...parts, log: withoutWarnings(log) },
  );

  /** While the disk accepts nothing, a variant that is requested repeatedly must not be rendered each time. */
  function keepInMemory(info: ObjectInfo, { content }: WholeBody): void {
    if (content.kind !== "buffer") return;
    memoryCache.set(id, { info, body: content.buffer, epoch: 0 }, memoryCache.generation);
    memoryOnly.add(info.key);
    const [oldest] = memoryOnly;
    if (memoryOnly.size > MAX_MEMORY_ONLY && oldest !== undefined) dropFromMemory(oldest);
  }

  function dropFromMemory(key: Key): void {
    memoryOnly.delete(key);
    memoryCache.drop(id, key);
  }

  /** Waits for the end of the render, because only a proven variant has an ETag. */
  async function variantFrom(miss: MissAnswer): Promise<Variant> {
    if (miss.kind === "head") throw new HuiyuanError("internal", "Cannot make a variant: the renderer answered a HEAD");
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
        // The disk is full: serve the bytes from memory.
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
      return await variantFrom(await mirror.fetch({ ...fetchOf(key, versions.epochOf(key, since), isStored), signal }));
    } catch (error) {
      throw asRenderFailure(error);
    } finally {
      leave();
    }
  }

  return {
    peek: ({ hashes }, named) => stored.peek(keyOf(hashes.sha256, named.name)),
    moment: versions.moment,
    async get(asked) {
      const { bytes, isRead } = watchReads(asked.bytes);
      const request = { ...asked, bytes };
      const key = keyOf(request.version.hashes.sha256, nameOf(request));
      for (let attempt = 1; ; attempt += 1) {
        const found = await stored.find(key);
        if (found.state !== "absent" && found.state !== "tombstone") return { kind: "found", found };
        try {
          return await make(key, request);
        } catch (error) {
          if (attempt === 3 || !isCausedByOthers(error, request.signal, isRead())) throw error;
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
      for (const key of memoryOnly) if (key.startsWith(hashes.sha256)) dropFromMemory(key);
      try {
        for await (const key of store.forget(`${hashes.sha256}/`)) memoryCache.drop(id, key);
      } catch (err) {
        log.warn({ bucket: bucketId, err }, "variants of a removed image could not be removed");
      }
    },
  };
}

/**
 * Whether a shared render failed because of another client: all others left just before this one joined, or the bytes
 * of another client's original were gone, while the own ones were not read.
 */
function isCausedByOthers(error: unknown, signal: Cancellation, isRead: boolean): boolean {
  if (!(error instanceof HuiyuanError)) return false;
  return error.code === "client_gone" ? !signal.aborted : error.code === "original_replaced" && !isRead;
}

/**
 * Warnings become debug lines. Each method is called on the logger itself, because a copy of the logger lacks its inner
 * state.
 */
function withoutWarnings(log: Log): Log {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.debug(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

/** Codes of the gate name an origin; for a rendered result they become render_failed. */
function asRenderFailure(error: unknown): unknown {
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

/** Other watermark images make another variant. */
function nameOf({ named, watermarks }: Pick<VariantRequest, "named" | "watermarks">): string {
  if (named.watermarks.length === 0) return named.name;
  return shortHash([named.name, ...named.watermarks.map((url) => watermarks.get(url)?.sha256)].join("\n"));
}

function jobOf({ named, version, watermarks, bytes }: VariantRequest): RenderJob {
  const isRemote =
    bytes.download !== undefined || [...watermarks.values()].some((mark) => mark.bytes.download !== undefined);
  return {
    recipe: named.recipe,
    size: version.size,
    image: version.image,
    load: bytes.load,
    loadImage: async (url) => watermarks.get(url)?.bytes.load(),
    prefetch: isRemote ? () => downloadAll(bytes, watermarks) : undefined,
  };
}
