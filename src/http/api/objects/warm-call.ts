// The call of the admin API that fetches objects ahead.
import * as z from "zod";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Log } from "../../../core/log.ts";
import type { Site } from "../../request/site.ts";
import { auditOf } from "../audit.ts";
import type { Calls } from "../calls.ts";
import { bucket as bucketField, names, number, text, whole } from "../fields.ts";
import { invalid } from "../input.ts";
import { bucketNamed, type Domains, domainNamed } from "../naming.ts";
import { warmCounts, warmLine } from "../openapi/answers.ts";
import { loggedNames, orderStream } from "./order-stream.ts";
import { type WarmOrder, type WarmResult, warmAll } from "./warm.ts";

// An origin that serves clients as well has more to do.
const WARM_PLACES = 4;

const INPUT = z.object({
  bucket: bucketField(),
  domain: text().optional().describe("Whose mirror fetches keys; default: the bucket's first mirrored one."),
  names: names().describe("URLs under which clients ask for the objects, or keys."),
  concurrency: whole(1, 64).default(WARM_PLACES).describe("Names at the same time."),
  rate: number(0.01, 10_000).optional().describe("Names a second at the most."),
});

export function addWarmCall(
  calls: Calls,
  { registry, stopping, log }: { readonly registry: Domains; readonly stopping: AbortSignal; readonly log: Log },
): void {
  const answer = { kind: "lines", line: warmLine, end: warmCounts } as const;
  calls.add(
    { method: "post", path: "/warm", summary: "Fetch objects ahead", input: INPUT, answer },
    (context, body) => {
      const order = orderOf(body, registry);
      const audit = auditOf(context, log, { operation: "warm", ...loggedNames(order.names) });
      const counts: Partial<Record<WarmResult, number>> = {};
      return orderStream(context, { audit, counts }, async function* (signal) {
        for await (const line of warmAll(order, { domains: registry, signal: AbortSignal.any([signal, stopping]) })) {
          counts[line.result] = (counts[line.result] ?? 0) + 1;
          yield line;
        }
        if (stopping.aborted) throw new HuiyuanError("draining", "the server is shutting down");
      });
    },
  );
}

function orderOf({ bucket, domain, ...body }: z.output<typeof INPUT>, domains: Domains): WarmOrder {
  const site = () => domainNamed(domain, () => bucketNamed(bucket, domains), domains);
  // Refused before anything is fetched.
  if (domain !== undefined || bucket !== undefined) refuseMismatch(site(), bucket, domains);
  return { ...body, rate: body.rate, site };
}

/** Both are given and contradict each other: one would be overlooked. */
function refuseMismatch({ domain, stored }: Site, bucket: string | undefined, domains: Domains): void {
  if (bucket === undefined || bucketNamed(bucket, domains) === stored) return;
  throw invalid(`the domain "${domain}" belongs to the bucket ${stored.bucketId}`);
}
