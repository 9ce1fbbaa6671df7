// What is made of an original for one request, with the images that are laid over it.
import type { Variant, VariantRequest } from "../../mirror/variants/variants.ts";
import type { ProcessingRequest } from "../request/processing-request.ts";
import type { Admission } from "../request/site.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import { clientOf, type DownloadContext } from "./download-context.ts";
import { viaHeadersOf } from "./miss.ts";
import { type FoundWatermarks, findWatermarks } from "./watermarks.ts";

export interface MadeVariant {
  /** False: the origin of the original or of a mark forbids to keep it. */
  readonly isStorable: boolean;
  readonly variant: Variant;
  /** Of what was laid over. */
  readonly life: AnswerLife | undefined;
  /** Of the tokens of its marks. */
  readonly admission: Admission | undefined;
}

/** Throws the codes of Variants.get and of findMarks. */
export async function makeVariant(
  { site, sites, exchange, token }: DownloadContext,
  { isAlias }: ProcessingRequest,
  request: Omit<VariantRequest, "watermarks" | "signal">,
): Promise<MadeVariant> {
  const signal = clientOf(exchange);
  const { variants, stored } = site;
  const urls = request.named.signedWatermarks;
  const { via, cdnLoop } = viaHeadersOf(exchange);
  // What an alias lays over images is the operator's choice.
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
