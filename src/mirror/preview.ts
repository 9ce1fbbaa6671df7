// What a mirror would do with a request now: the same looks as fetch() and revalidate() take, and nothing behind them. It asks
// no origin, counts nothing and remembers nothing.
import { asHuiyuanError, type HuiyuanError } from "../core/errors.ts";
import { appendViaHeaders } from "../origin/exchange/via-headers.ts";
import type { Origin, OriginPreview, PreviewRequest } from "../origin/origin.ts";
import { type RevalidationRequest, validatorsOf } from "./freshness/revalidation.ts";
import type { Effect } from "./freshness/revalidation-effects.ts";
import type { StaleKept } from "./freshness/revalidation-outcome.ts";
import type { MissRequest } from "./mirror.ts";
import type { NegativeCache } from "./negative-cache.ts";
import { fillId } from "./rules.ts";
import type { StoredObject } from "./stored/stored.ts";

export type PreviewedMiss = Omit<MissRequest, "signal">;

export interface MirrorPreview {
  /** The request would wait for a fetch that runs already. */
  readonly isRunning: boolean;
  /** Why the origin would not be asked. */
  readonly refusal: HuiyuanError | undefined;
  /** What would be asked, and of whom; several are in the order in which they may be. */
  readonly asks: readonly OriginPreview[];
}

export interface Previews {
  /** Of Mirror.fetch. Throws origin_loop. */
  miss(request: PreviewedMiss): Promise<MirrorPreview>;
  /** Of Mirror.revalidate, or without `mayHelp` of Refresh.begin; `kept`: what the origin has said of it a moment ago. Throws origin_loop. */
  revalidation(
    object: StoredObject,
    request: RevalidationRequest & { readonly mayServeStale?: boolean },
  ): Promise<MirrorPreview & { readonly kept: StaleKept | undefined }>;
}

export interface PreviewParts {
  readonly mark: string;
  readonly origin: Origin;
  readonly headMiss: "origin" | "store";
  readonly negativeCache: Pick<NegativeCache, "refuseIfKnown">;
  isRunning(request: PreviewedMiss): boolean;
  /** `outcome`: what is known of the object's key without asking. */
  lookAt(
    object: StoredObject,
    mayServeStale: boolean,
  ): { readonly isRunning: boolean; readonly outcome: Effect | undefined };
}

export function createPreviews(parts: PreviewParts): Previews {
  const { mark, origin, headMiss, negativeCache } = parts;
  const asksOf = async (request: PreviewRequest) => (await origin.preview?.(request)) ?? [];

  function refusalOf(request: PreviewedMiss): HuiyuanError | undefined {
    try {
      negativeCache.refuseIfKnown({ ...request, id: fillId(request) });
    } catch (error) {
      return asHuiyuanError(error);
    }
    return origin.refusal?.();
  }

  return {
    async miss(request) {
      appendViaHeaders(request, mark);
      const isRunning = parts.isRunning(request);
      const method = request.method === "HEAD" && headMiss === "origin" ? "HEAD" : "GET";
      const refusal = isRunning ? undefined : refusalOf(request);
      return { isRunning, refusal, asks: await asksOf({ ...request, method }) };
    },
    async revalidation(object, request) {
      appendViaHeaders(request, mark);
      const { isRunning, outcome } = parts.lookAt(object, request.mayServeStale ?? true);
      const isFailed = outcome?.kind === "failed";
      const isStorable = outcome?.kind === "gone" || outcome?.kind === "current";
      return {
        isRunning,
        refusal: isFailed ? outcome.error : undefined,
        kept: isStorable ? { kind: "kept", why: outcome.kind } : undefined,
        asks: await asksOf({ ...request, method: "GET", unless: validatorsOf(object.info) }),
      };
    },
  };
}
