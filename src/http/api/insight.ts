// The admin API of what was done to buckets and what they were used for: the operation log as JSON, page by page, and as one
// CSV file; usage by day. And how an operator's own changes come into both.
import type { Context, Hono } from "hono";
import {
  CSV_HEADER,
  csvLine,
  type LoggedOperation,
  OPERATION_NAMES,
  type OperationName,
} from "../../insight/operation.ts";
import type { OperationFilter, OperationLog } from "../../insight/operation-log.ts";
import { dayOf, type Usage } from "../../insight/usage.ts";
import type { ChangeLine } from "./changes.ts";
import type { ApiEnv } from "./env.ts";
import { type Input, invalid, optionalNumber, optionalText, optionalWord, readQuery } from "./input.ts";
import { bucketNamed, type Domains } from "./naming.ts";

export interface InsightParts {
  readonly operations: OperationLog;
  readonly usage: Usage;
}

const MAX_LISTED = 1_000;
const FILTERS = ["bucket", "operation", "fileid", "from", "to"];
const DAY_MS = 86_400_000;
const SHOWN_DAYS = 30;
const MAX_DAYS = 400;

export function addInsightCalls(
  api: Hono<ApiEnv>,
  { operations, usage, registry, now }: InsightParts & { readonly registry: Domains; readonly now: () => number },
): void {
  api.get("/log", async (context) => {
    const query = readQuery(context.req, [...FILTERS, "after", "limit", "latest"]);
    const filter = filterOf(query, registry);
    const latest = optionalNumber(query, "latest", { min: 1, max: MAX_LISTED });
    if (latest !== undefined) {
      const entries = await operations.latest(filter, latest);
      return context.json({ entries: entries.map(entryView) });
    }
    const after = optionalNumber(query, "after", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
    const limit = optionalNumber(query, "limit", { min: 1, max: MAX_LISTED }) ?? MAX_LISTED;
    const { entries, next } = await operations.page(filter, { after, limit });
    return context.json({ entries: entries.map(entryView), next });
  });

  api.get("/log.csv", (context) => {
    const filter = filterOf(readQuery(context.req, FILTERS), registry);
    const body = ReadableStream.from(csvOf(operations, filter)).pipeThrough(new TextEncoderStream());
    return context.body(body, 200, {
      "Content-Type": "text/csv; charset=utf-8",
      "Content-Disposition": 'attachment; filename="operations.csv"',
    });
  });

  api.get("/usage", async (context) => {
    const query = readQuery(context.req, ["bucket", "from", "to"]);
    const to = dayIn(query, "to") ?? dayOf(now());
    const from = dayIn(query, "from") ?? dayOf(Date.parse(to) - (SHOWN_DAYS - 1) * DAY_MS);
    if (Date.parse(to) - Date.parse(from) > MAX_DAYS * DAY_MS) throw invalid(`at most ${MAX_DAYS} days at once`);
    const days = await usage.days({ bucketId: bucketIn(query, registry), from, to });
    return context.json({ days: days.map(({ bucketId: bucket, ...day }) => ({ ...day, bucket })) });
  });
}

export interface Noting extends Pick<InsightParts, "usage" | "operations"> {
  readonly operation: OperationName;
  readonly context: Context<ApiEnv>;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** The same lines; each that tells of a change is noted. */
export async function* noting(
  lines: AsyncGenerator<ChangeLine, void, undefined>,
  { operations, usage, operation, context, now }: Noting,
): AsyncGenerator<ChangeLine, void, undefined> {
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

function filterOf(query: Input, registry: Domains): OperationFilter {
  return {
    bucketId: bucketIn(query, registry),
    operation: optionalWord(query, "operation", OPERATION_NAMES),
    fileid: optionalText(query, "fileid"),
    from: timeIn(query, "from", 0),
    to: timeIn(query, "to", DAY_MS - 1),
  };
}

/** A bucket that the settings name no more has a history still. */
function bucketIn(query: Input, registry: Domains): string | undefined {
  const name = optionalText(query, "bucket");
  return name === undefined || name.includes("/") ? name : bucketNamed(name, registry).bucketId;
}

const DAY = /^\d{4}-\d\d-\d\d$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z$/;

/** Unix milliseconds; of a day `ofDay` milliseconds after its beginning. */
function timeIn(query: Input, name: string, ofDay: number): number | undefined {
  const text = optionalText(query, name);
  if (text === undefined) return undefined;
  const time = DAY.test(text) || TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw invalid(`"${name}" must be a day such as 2015-07-17 or a time such as 2015-07-17T08:00:00Z`);
  return DAY.test(text) ? time + ofDay : time;
}

function dayIn(query: Input, name: string): string | undefined {
  const text = optionalText(query, name);
  if (text === undefined) return undefined;
  if (!DAY.test(text) || Number.isNaN(Date.parse(text))) throw invalid(`"${name}" must be a day such as 2015-07-17`);
  return text;
}

function entryView({ at, reportedAt, bucketId: bucket, ...entry }: LoggedOperation): object {
  return { ...entry, bucket, time: new Date(at).toISOString(), reportTime: new Date(reportedAt).toISOString() };
}
