// The admin API call that fetches objects ahead of requests. warm.ts does the fetches.
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
import { auditedStream, loggedNames } from "./audited-stream.ts";
import { type WarmRequest, type WarmResult, warmAll } from "./warm.ts";

// Low, because the origin serves clients at the same time.
const WARM_PLACES = 4;

const INPUT = z.object({
  bucket: bucketField(),
  domain: text()
    .optional()
    .describe("The domain whose mirror fetches keys; default: the first mirrored domain of the bucket."),
  names: names().describe("Download URLs of the objects, or keys."),
  concurrency: whole(1, 64).default(WARM_PLACES).describe("Names fetched concurrently."),
  rate: number(0.01, 10_000).optional().describe("Limit of names a second."),
});

export function addWarmCall(
  calls: Calls,
  { registry, stopping, log }: { readonly registry: Domains; readonly stopping: AbortSignal; readonly log: Log },
): void {
  const answer = { kind: "lines", line: warmLine, end: warmCounts } as const;
  calls.add(
    { method: "post", path: "/warm", summary: "Fetch objects ahead of requests", input: INPUT, answer },
    (context, body) => {
      const warmRequest = warmRequestOf(body, registry);
      const audit = auditOf(context, log, { operation: "warm", ...loggedNames(warmRequest.names) });
      const counts: Partial<Record<WarmResult, number>> = {};
      return auditedStream(context, { audit, counts }, async function* (signal) {
        for await (const line of warmAll(warmRequest, {
          domains: registry,
          signal: AbortSignal.any([signal, stopping]),
        })) {
          counts[line.result] = (counts[line.result] ?? 0) + 1;
          yield line;
        }
        if (stopping.aborted) throw new HuiyuanError("draining", "the server is shutting down");
      });
    },
  );
}

function warmRequestOf({ bucket, domain, ...body }: z.output<typeof INPUT>, domains: Domains): WarmRequest {
  const site = () => domainNamed(domain, () => bucketNamed(bucket, domains), domains);
  // Before the first fetch.
  if (domain !== undefined || bucket !== undefined) refuseMismatch(site(), bucket, domains);
  return { ...body, rate: body.rate, site };
}

/** Throws request_invalid if domain and bucket contradict each other: one of them would be ignored. */
function refuseMismatch({ domain, stored }: Site, bucket: string | undefined, domains: Domains): void {
  if (bucket === undefined || bucketNamed(bucket, domains) === stored) return;
  throw invalid(`the domain "${domain}" belongs to the bucket ${stored.bucketId}`);
}
