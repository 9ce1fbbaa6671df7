// Shows how a mirror would handle a request now, by the same checks as fetch() and revalidate(). It contacts no origin,
// counts nothing and remembers nothing.
import { asHuiyuanError, type HuiyuanError } from "../core/errors.ts";
import { appendViaHeaders } from "../origin/exchange/request-head.ts";
import type { OriginPreview, PreviewRequest } from "../origin/origin.ts";
import type { MissRequest } from "./fill/reader.ts";
import { type Revalidation, type RevalidationRequest, type StaleKept, validatorsOf } from "./freshness/revalidation.ts";
import type { MirrorContext } from "./mirror-context.ts";
import { fillId } from "./rules.ts";
import type { StoredObject } from "./stored/stored.ts";

type PreviewedMiss = Omit<MissRequest, "signal">;

export interface MirrorPreview {
  /** The request would wait for a fetch that runs already. */
  readonly isRunning: boolean;
  /** The reason why the origin would not be contacted. */
  readonly refusal: HuiyuanError | undefined;
  /** The requests that would be sent, in the order in which their origins are tried. */
  readonly asks: readonly OriginPreview[];
}

/** `peek`: of the revalidations. */
export function createPreviews(
  { options, viaValue, negativeCache }: MirrorContext,
  isFillRunning: (request: PreviewedMiss) => boolean,
  peek: Revalidation["peek"],
) {
  const { origin, headMiss } = options;
  const originRequestsOf = async (request: PreviewRequest) => (await origin.preview?.(request)) ?? [];

  function refusalOf(request: PreviewedMiss): HuiyuanError | undefined {
    try {
      negativeCache.refuseIfKnown({ ...request, id: fillId(request) });
    } catch (error) {
      return asHuiyuanError(error);
    }
    return origin.refusal?.();
  }

  return {
    /** Previews Mirror.fetch. Throws origin_loop. */
    async miss(request: PreviewedMiss): Promise<MirrorPreview> {
      appendViaHeaders(request, viaValue);
      const isRunning = isFillRunning(request);
      const method = request.method === "HEAD" && headMiss === "origin" ? "HEAD" : "GET";
      const refusal = isRunning ? undefined : refusalOf(request);
      return { isRunning, refusal, asks: await originRequestsOf({ ...request, method }) };
    },
    /**
     * Previews Mirror.revalidate, or Revalidation.begin if `mayServeStale` is absent. `kept`: the result of a recent
     * revalidation, for which the stored object is served. Throws origin_loop.
     */
    async revalidation(
      object: StoredObject,
      request: RevalidationRequest & { readonly mayServeStale?: boolean },
    ): Promise<MirrorPreview & { readonly kept: StaleKept | undefined }> {
      appendViaHeaders(request, viaValue);
      const { isRunning, outcome } = peek(object, request.mayServeStale ?? true);
      const isFailed = outcome?.kind === "failed";
      const isServed = outcome?.kind === "gone" || outcome?.kind === "current";
      return {
        isRunning,
        refusal: isFailed ? outcome.error : undefined,
        kept: isServed ? { kind: "kept", why: outcome.kind } : undefined,
        asks: await originRequestsOf({ ...request, method: "GET", unless: validatorsOf(object.info) }),
      };
    },
  };
}
