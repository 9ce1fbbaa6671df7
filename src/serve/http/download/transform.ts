// Makes the variant of a located original: finds its watermark images, looks the variant up, or has it rendered.
// locate.ts finds the original; download-answer.ts sends the result.
import { HuiyuanError } from "../../../core/errors.ts";
import { isRetryable, mayServeOriginal } from "../../image/grammar/recipe.ts";
import type { VariantRequest } from "../../mirror/variants/variants.ts";
import { admittedByBoth } from "../request/authorizer.ts";
import { clientOf, clientSignal } from "../request/exchange.ts";
import { negotiatedFor, type ProcessingRequest } from "../request/object-name.ts";
import { shorterLife } from "../response/cache-control.ts";
import {
  CACHE_STATUS,
  type DownloadContext,
  type Located,
  type LocatedStored,
  type LocatedVariant,
  type LocatedWhole,
} from "./download-context.ts";
import { type FoundWatermarks, findWatermarks } from "./watermarks.ts";
import { suspectOriginalError, wholeOf } from "./whole-original.ts";

/**
 * A redirect, an absence, and an image that the origin has processed are returned as they are. Throws the codes of
 * Variants.get and of findWatermarks.
 */
export async function transform(
  context: DownloadContext,
  processing: ProcessingRequest,
  located: Located,
): Promise<Located> {
  const original = await wholeOriginal(context, processing, located);
  if (original.kind !== "stored" && original.kind !== "whole") return original;
  const named = negotiatedFor(processing.named, context.exchange.request.headers.accept);
  try {
    return await makeVariant(context, processing, { original, named });
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    if (!mayServeOriginal(named.recipe, error) || !isOriginalFree(context)) throw error;
    return { ...original, isStandIn: isRetryable(error) };
  }
}

/** Waits until a fetched original is proven whole. Any other image is served as it is. */
async function wholeOriginal(
  context: DownloadContext,
  { named }: ProcessingRequest,
  located: Located,
): Promise<Located> {
  if (located.kind !== "fetch" || located.isProcessed) return located;
  const whole = await wholeOf(located, () => clientSignal(context.exchange));
  if (whole !== undefined) return whole;
  // With ignore-error the client gets the damaged original.
  const { answer } = located;
  if (answer.kind !== "filling" || !named.recipe.ignoresErrors || !isOriginalFree(context))
    throw suspectOriginalError();
  return { ...located, answer: { ...answer, isSuspect: true } };
}

async function makeVariant(
  { site, sites, exchange, token, grant: own }: DownloadContext,
  { isAlias }: ProcessingRequest,
  { original, named }: { readonly original: LocatedStored | LocatedWhole } & Pick<VariantRequest, "named">,
): Promise<LocatedVariant> {
  const isMiss = original.kind === "whole";
  const version = isMiss ? original.info : original.object.info;
  const bytes = isMiss ? original : site.stored.bytesOf(version);
  const revalidated = isMiss ? undefined : original.revalidated;
  const signal = clientOf(exchange);
  const urls = named.signedWatermarks;
  // The watermarks of an alias are the operator's choice and need no token of the client.
  const client = isAlias ? undefined : token;
  const found = urls.length === 0 ? NO_WATERMARKS : await findWatermarks(urls, { exchange, sites, site, client });
  const { watermarks, grant } = found;
  const isStorable = (!isMiss || original.isStorable) && found.isStorable;
  try {
    const variant = await site.variants.get({
      version,
      named,
      watermarks,
      bytes,
      isStored: isStorable,
      signal,
      beforeRender: () => sites.clients?.countRender(exchange.request),
    });
    return {
      kind: "variant",
      variant,
      isStorable,
      status: isMiss ? original.status : revalidated && CACHE_STATUS.revalidated[revalidated],
      isMiss,
      certainty: original.certainty,
      life: shorterLife(original.life, found.life),
      grant: grant === undefined ? own : admittedByBoth(own, grant),
    };
  } finally {
    found.release();
  }
}

const NO_WATERMARKS: FoundWatermarks = {
  watermarks: new Map(),
  life: undefined,
  isStorable: true,
  grant: undefined,
  release() {},
};

/** True: clients may see the original, because the bucket does not protect originals. */
function isOriginalFree({ site }: DownloadContext): boolean {
  return site.originalAuthorizer === undefined;
}
