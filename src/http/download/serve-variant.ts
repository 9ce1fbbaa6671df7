// Serves a variant of one original: finds its watermark images, looks the variant up or renders it, and sends it.
// It does not find the original; processed.ts does.
import { HuiyuanError } from "../../core/errors.ts";
import type { ObjectInfo } from "../../core/object.ts";
import { isRetryable, mayServeOriginal } from "../../image/grammar/recipe.ts";
import type { ImageBytes } from "../../mirror/variants/image-bytes.ts";
import type { Variant, VariantRequest } from "../../mirror/variants/variants.ts";
import type { Outcome } from "../request/exchange.ts";
import { negotiatedFor, type ProcessingRequest } from "../request/processing-request.ts";
import type { Admission } from "../request/site.ts";
import { admittedByBoth } from "../request/token-scope.ts";
import { answerObject, type ObjectBytes } from "../response/answer.ts";
import { type AnswerLife, type AnswerState, shorterLife } from "../response/cache-control.ts";
import {
  answerLocated,
  CACHE_STATUS,
  clientOf,
  clientSignal,
  contextOf,
  type DownloadContext,
} from "./download-context.ts";
import { staleStatus } from "./located.ts";
import { viaHeadersOf } from "./miss.ts";
import { type FoundWatermarks, findWatermarks } from "./watermarks.ts";

/** The original of a variant, and how it affects the answer. */
export interface VariantSource {
  readonly info: ObjectInfo;
  /** As in VariantRequest. */
  readonly since: number;
  readonly bytes: ImageBytes;
  /** False: the origin forbids storing it. */
  readonly isStorable: boolean;
  readonly life: AnswerLife | undefined;
  /** The Cache-Status if the origin was asked; undefined: the variant's tier decides. */
  readonly status?: string | undefined;
  readonly isMiss?: boolean;
}

/** `showOriginal` is called if the variant cannot be rendered and the instruction allows the original instead. */
export async function serveVariant(
  original: DownloadContext,
  processing: ProcessingRequest,
  source: VariantSource,
  showOriginal: (shown: DownloadContext) => void | Promise<void>,
): Promise<void> {
  const named = negotiatedFor(processing.named, original.exchange.request.headers.accept);
  const { info: version, since, bytes, isStorable: isStored } = source;
  let made: MadeVariant;
  try {
    made = await makeVariant(original, processing, { version, since, named, bytes, isStored });
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (!mayServeOriginal(named.recipe, error) || !isOriginalFree(original)) throw error;
    return showOriginal({ ...original, isStandIn: isRetryable(error) });
  }
  const { variant, isStorable, life, admission } = made;
  const download = admission === undefined ? original : withAdmission(original, admission);
  await answerVariant(download, variant, { ...source, isStorable, life: shorterLife(source.life, life) });
}

interface MadeVariant {
  /** False: the origin of the original or of a watermark forbids storing it. */
  readonly isStorable: boolean;
  readonly variant: Variant;
  /** The shortest lifetime of its watermarks. */
  readonly life: AnswerLife | undefined;
  /** The rights that the tokens of its watermarks give. */
  readonly admission: Admission | undefined;
}

/** Throws the codes of Variants.get and of findWatermarks. */
async function makeVariant(
  { site, sites, exchange, token }: DownloadContext,
  { isAlias }: ProcessingRequest,
  request: Omit<VariantRequest, "watermarks" | "signal">,
): Promise<MadeVariant> {
  const signal = clientOf(exchange);
  const { variants, stored } = site;
  const urls = request.named.signedWatermarks;
  const { via, cdnLoop } = viaHeadersOf(exchange);
  // The watermarks of an alias are the operator's choice and need no token of the client.
  const client = isAlias ? undefined : token;
  const found =
    urls.length === 0 ? NO_WATERMARKS : await findWatermarks(urls, { sites, stored, client, via, cdnLoop, signal });
  const { watermarks, life, admission } = found;
  const isStorable = request.isStored && found.isStorable;
  try {
    return {
      variant: await variants.get({ ...request, watermarks, isStored: isStorable, signal }),
      isStorable,
      life,
      admission,
    };
  } finally {
    found.release();
  }
}

const NO_WATERMARKS: FoundWatermarks = {
  watermarks: new Map(),
  life: undefined,
  isStorable: true,
  admission: undefined,
  release() {},
};

/** True: clients may see the original, because the bucket does not protect originals. */
export function isOriginalFree({ site }: DownloadContext): boolean {
  return site.originalAuthorizer === undefined;
}

function withAdmission(original: DownloadContext, admission: Admission): DownloadContext {
  return { ...original, admission: admittedByBoth(original.admission, admission) };
}

async function answerVariant(original: DownloadContext, variant: Variant, source: VariantSource): Promise<void> {
  const { exchange } = original;
  const tier = tierOf(variant);
  exchange.outcome = source.isMiss === true ? { kind: "miss", tier: "origin" } : { kind: "hit", tier };
  const state: AnswerState = source.isStorable ? "stored" : "not-storable";
  const context = contextOf(original, state, source.status ?? statusOf(tier, source.life), source.life);
  if (variant.kind === "found") return answerLocated(exchange, variant.found, context);
  const { info, body, spool, release } = variant;
  const read = (offset: number) => spool.peek(offset) ?? spool.read(offset, clientSignal(exchange));
  try {
    const bytes: ObjectBytes = body === undefined ? { kind: "read", read } : { kind: "memory", body };
    await answerObject(exchange, info, bytes, context);
  } finally {
    release();
  }
}

type Tier = Extract<Outcome["tier"], "memory" | "bucket" | "spool" | "renderer">;

function statusOf(tier: Tier, life: AnswerLife | undefined): string {
  const detail = tier === "renderer" ? "rendered" : tier;
  return life !== undefined && life.leftSeconds < 0 ? staleStatus(detail, life) : CACHE_STATUS[detail];
}

function tierOf(variant: Variant): Tier {
  // `after`: an earlier request rendered it, and its write is pending.
  if (variant.kind === "made") return variant.how === "after" ? "spool" : "renderer";
  return variant.found.state === "memory" ? "memory" : "bucket";
}
