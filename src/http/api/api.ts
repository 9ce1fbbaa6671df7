// The admin API, /api/v1: what operators ask and order. It answers whoever reaches it; admin.ts decides who does, and a
// command without a server asks it within its own process.
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import * as z from "zod";
import { asHuiyuanError, errorRow } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { OriginHealth } from "../../origin/guard/health.ts";
import { addCallbackCalls, type CallbackParts } from "./callbacks.ts";
import { createCalls } from "./calls.ts";
import type { ApiEnv } from "./env.ts";
import { explain } from "./explain.ts";
import { headerFields, text } from "./fields.ts";
import { addInsightCalls, type InsightParts } from "./insight.ts";
import type { Domains } from "./naming.ts";
import { addObjectCalls } from "./objects/object-calls.ts";
import { addWarmCall } from "./objects/warm-call.ts";
import { bucketsAnswer, explanation, originsAnswer } from "./openapi/answers.ts";
import { describeApi } from "./openapi/openapi.ts";
import { describeRestApi } from "./openapi/rest-openapi.ts";
import { problemOf } from "./problem.ts";

export interface ApiOptions {
  readonly registry: Domains & { originHealth(): readonly OriginHealth[] };
  readonly accounts: CallbackParts & InsightParts;
  /** `server.healthPath` of the settings in force. */
  readonly healthPath: () => string;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly nextRequestId: () => string;
  /** Aborts when the server begins to stop. */
  readonly stopping: AbortSignal;
  readonly version: string;
  readonly log: Log;
}

/** Paths begin with /api/v1. */
export function createApi(options: ApiOptions): Hono<ApiEnv> {
  const { registry, accounts, nextRequestId, log } = options;
  const api = new Hono<ApiEnv>().basePath("/api/v1");
  api.use(async (context, next) => {
    if (context.get("requestId") === undefined) context.set("requestId", nextRequestId());
    return next();
  });

  const calls = createCalls(api);
  calls.add(
    {
      method: "get",
      path: "/buckets",
      summary: "The buckets and their domains",
      input: z.object({}),
      answer: { kind: "json", schema: bucketsAnswer },
    },
    (context) => context.json({ buckets: bucketsOf(registry) }),
  );
  calls.add(
    {
      method: "get",
      path: "/origins",
      summary: "How each origin is",
      input: z.object({}),
      answer: { kind: "json", schema: originsAnswer },
    },
    (context) => context.json({ origins: registry.originHealth() }),
  );
  addObjectCalls(calls, { ...options, ...accounts });
  addWarmCall(calls, options);
  calls.add(
    {
      // POST, though it changes nothing: a URL may hold a token, which does not belong into another URL.
      method: "post",
      path: "/explain",
      summary: "What a download URL means, and how it would be answered",
      input: z.object({
        url: text().describe("As a client asks for it, with its host."),
        method: z
          .string()
          .regex(/^[A-Z]{1,20}$/, { error: "must be such as GET" })
          .default("GET"),
        headers: headerFields().prefault({}).describe("Of the request; `host` replaces the URL's own."),
      }),
      answer: { kind: "json", schema: explanation },
    },
    async (context, order) =>
      context.json(await explain(order, { sites: registry.sites, healthPath: options.healthPath() })),
  );
  addCallbackCalls(calls, { ...options, ...accounts });
  addInsightCalls(calls, { ...options, ...accounts });
  // Made when they are asked for, which is seldom.
  api.get("/openapi.json", (context) => context.json(describeApi(calls.list, options.version)));
  api.get("/openapi-rest.json", (context) => context.json(describeRestApi(options.version)));

  api.notFound((context) =>
    context.json({ code: -106, message: "no such call", requestId: context.get("requestId") }, 404),
  );
  api.onError((error, context) => {
    const known = asHuiyuanError(error);
    const { status: usual } = errorRow(known.code);
    const status = known.answerStatus ?? usual;
    const requestId = context.get("requestId");
    if (status >= 500) log.error({ err: known, requestId }, "an admin request failed");
    // The table has statuses that Hono has no type for.
    return context.json(problemOf(known, requestId), status as ContentfulStatusCode);
  });
  return api;
}

function bucketsOf({ domains }: Domains): readonly object[] {
  const buckets = new Map<string, { domain: string; isMirrored: boolean }[]>();
  for (const { domain, stored, source } of domains()) {
    const list = buckets.get(stored.bucketId) ?? [];
    list.push({ domain, isMirrored: source !== undefined });
    buckets.set(stored.bucketId, list);
  }
  return [...buckets].map(([bucket, list]) => ({ bucket, domains: list }));
}
