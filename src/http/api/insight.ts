// Admin API calls for the operation log (JSON pages or one CSV file) and for usage by day. It also records changes that
// operators make through the admin API in both. insight/ stores them.
import type { Context } from "hono";
import * as z from "zod";
import {
  CSV_HEADER,
  csvLine,
  type LoggedOperation,
  OPERATION_NAMES,
  type OperationName,
} from "../../insight/operation.ts";
import type { OperationFilter, OperationLog } from "../../insight/operation-log.ts";
import { dayOf, type Usage } from "../../insight/usage.ts";
import type { ApiEnv, Calls } from "./calls.ts";
import { bucket as bucketField, day, invalid, text, time, whole, word } from "./input.ts";
import { bucketIdNamed, type Domains } from "./naming.ts";
import type { ChangeLine } from "./objects/changes.ts";
import { logPage, usageAnswer } from "./openapi/answers.ts";

export interface InsightParts {
  readonly operations: OperationLog;
  readonly usage: Usage;
}

const MAX_LISTED = 1_000;
const DAY_MS = 86_400_000;
const SHOWN_DAYS = 30;
const MAX_DAYS = 400;

const FILTER = z.object({
  bucket: bucketField(),
  operation: word(OPERATION_NAMES).optional(),
  fileid: text().optional(),
  from: time(0).optional(),
  to: time(DAY_MS - 1)
    .optional()
    .describe("Inclusive."),
});

export function addInsightCalls(
  calls: Calls,
  parts: InsightParts & { readonly registry: Domains; readonly now: () => number },
): void {
  addLogCalls(calls, parts);
  const { usage, registry, now } = parts;
  calls.add(
    {
      method: "get",
      path: "/usage",
      summary: "Usage of each bucket by day (UTC)",
      input: z.object({ bucket: bucketField(), from: day().optional(), to: day().optional().describe("Inclusive.") }),
      answer: { kind: "json", schema: usageAnswer },
    },
    async (context, query) => {
      const to = query.to ?? dayOf(now());
      const from = query.from ?? dayOf(Date.parse(to) - (SHOWN_DAYS - 1) * DAY_MS);
      if (Date.parse(to) - Date.parse(from) > MAX_DAYS * DAY_MS) throw invalid(`at most ${MAX_DAYS} days at once`);
      const days = await usage.days({ bucketId: bucketIdNamed(query.bucket, registry), from, to });
      return context.json({ days: days.map(({ bucketId, ...used }) => ({ ...used, bucket: bucketId })) });
    },
  );
}

function addLogCalls(calls: Calls, { operations, registry }: InsightParts & { readonly registry: Domains }): void {
  calls.add(
    {
      method: "get",
      path: "/log",
      summary: "A page of the operation log (操作日志)",
      input: FILTER.extend({
        after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
        limit: whole(1, MAX_LISTED).default(MAX_LISTED),
        latest: whole(1, MAX_LISTED).optional().describe("Instead of a page: this many of the newest entries."),
      }),
      answer: { kind: "json", schema: logPage },
    },
    async (context, { after, limit, latest, ...query }) => {
      const filter = filterOf(query, registry);
      if (latest !== undefined) {
        const entries = await operations.latest(filter, latest);
        return context.json({ entries: entries.map(entryView) });
      }
      const { entries, next } = await operations.page(filter, { after, limit });
      return context.json({ entries: entries.map(entryView), next });
    },
  );
  calls.add(
    {
      method: "get",
      path: "/log.csv",
      summary: "The operation log as one file, in the documented columns",
      input: FILTER,
      answer: { kind: "text", mediaType: "text/csv" },
    },
    (context, query) => {
      const filter = filterOf(query, registry);
      const body = ReadableStream.from(csvOf(operations, filter)).pipeThrough(new TextEncoderStream());
      return context.body(body, 200, {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="operations.csv"',
      });
    },
  );
}

/** Passes the lines on, and records each change in operation log and usage. `now`: Unix milliseconds. */
export async function* recordChanges(
  lines: AsyncGenerator<ChangeLine, void, undefined>,
  parts: InsightParts & { operation: OperationName; context: Context<ApiEnv>; now: () => number },
): AsyncGenerator<ChangeLine, void, undefined> {
  const { operations, usage, operation, context, now } = parts;
  const common = {
    operation,
    url: context.req.path,
    client: context.env.incoming?.socket.remoteAddress ?? "this machine",
    userAgent: context.req.header("user-agent") ?? "",
    code: 0,
    message: "SUCCESS",
    bytes: 0,
    requestId: context.get("requestId"),
  };
  for await (const line of lines) {
    if ("key" in line && line.changed) {
      operations.record({ ...common, at: now(), bucketId: line.bucket, fileid: line.key });
      usage.count(line.bucket, operation, { isFailed: false, bytes: 0 });
    }
    yield line;
  }
}

async function* csvOf(operations: OperationLog, filter: OperationFilter): AsyncGenerator<string, void, undefined> {
  yield `${CSV_HEADER}\r\n`;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: Awaited<ReturnType<OperationLog["page"]>> = await operations.page(filter, { after, limit: MAX_LISTED });
    if (page.entries.length > 0) yield page.entries.map((entry) => `${csvLine(entry)}\r\n`).join("");
    after = page.next;
  }
}

function filterOf({ bucket, ...filter }: z.output<typeof FILTER>, registry: Domains): OperationFilter {
  const { operation, fileid, from, to } = filter;
  return { bucketId: bucketIdNamed(bucket, registry), operation, fileid, from, to };
}

function entryView({ at, reportedAt, bucketId: bucket, ...entry }: LoggedOperation): object {
  return { ...entry, bucket, time: new Date(at).toISOString(), reportTime: new Date(reportedAt).toISOString() };
}
