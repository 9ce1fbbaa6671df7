// What a mirror would do with a request now: the same looks as fetch() and revalidate() take, and nothing behind them. It asks
// no origin, counts nothing and remembers nothing.
import { asHuiyuanError, type HuiyuanError } from "../core/errors.ts";
import { carryMarks } from "../origin/exchange/via-headers.ts";
import type { Origin, OriginPreview, PreviewRequest } from "../origin/origin.ts";
import { type RefreshRequest, validatorsOf } from "./freshness/revalidation.ts";
import type { Outcome } from "./freshness/revalidation-effects.ts";
import type { Kept } from "./freshness/revalidation-outcome.ts";
import type { MissRequest } from "./mirror.ts";
import type { Recent } from "./negative-cache.ts";
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
  refresh(
    object: StoredObject,
    request: RefreshRequest & { readonly mayHelp?: boolean },
  ): Promise<MirrorPreview & { readonly kept: Kept | undefined }>;
}

export interface PreviewParts {
  readonly mark: string;
  readonly origin: Origin;
  readonly headMiss: "origin" | "store";
  readonly recent: Pick<Recent, "refuseIfKnown">;
  isRunning(request: PreviewedMiss): boolean;
  /** `outcome`: what is known of the object's key without asking. */
  lookAt(
    object: StoredObject,
    mayHelp: boolean,
  ): { readonly isRunning: boolean; readonly outcome: Outcome | undefined };
}

export function createPreviews(parts: PreviewParts): Previews {
  const { mark, origin, headMiss, recent } = parts;
  const asksOf = async (request: PreviewRequest) => (await origin.preview?.(request)) ?? [];

  function refusalOf(request: PreviewedMiss): HuiyuanError | undefined {
    try {
      recent.refuseIfKnown({ ...request, id: fillId(request) });
    } catch (error) {
      return asHuiyuanError(error);
    }
    return origin.refusal?.();
  }

  return {
    async miss(request) {
      carryMarks(request, mark);
      const isRunning = parts.isRunning(request);
      const method = request.method === "HEAD" && headMiss === "origin" ? "HEAD" : "GET";
      const refusal = isRunning ? undefined : refusalOf(request);
      return { isRunning, refusal, asks: await asksOf({ ...request, method }) };
    },
    async refresh(object, request) {
      carryMarks(request, mark);
      const { isRunning, outcome } = parts.lookAt(object, request.mayHelp ?? true);
      const isFailed = outcome?.kind === "failed";
      const isKept = outcome?.kind === "gone" || outcome?.kind === "current";
      return {
        isRunning,
        refusal: isFailed ? outcome.error : undefined,
        kept: isKept ? { kind: "kept", why: outcome.kind } : undefined,
        asks: await asksOf({ ...request, method: "GET", unless: validatorsOf(object.info) }),
      };
    },
  };
}
