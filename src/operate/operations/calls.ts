// Admin API calls for the operation log (JSON pages or one CSV file) and for usage by day. insight/ stores them.

import type { Calls, InputOf } from "../admin/calls.ts";
import { bucket as bucketField, day, invalid, text, time, whole, word } from "../admin/input.ts";
import { bucketIdNamed, type Domains } from "../admin/naming.ts";
import { logPage, usageAnswer } from "../admin/openapi/answers.ts";
import { dayOf, type Usage } from "../usage/usage.ts";
import { CSV_HEADER, csvLine, type LoggedOperation, OPERATION_NAMES } from "./operation.ts";
import type { OperationFilter, OperationLog } from "./operation-log.ts";

export interface InsightParts {
  readonly operations: OperationLog;
  readonly usage: Usage;
}

const MAX_LISTED = 1_000;
const DAY_MS = 86_400_000;
const SHOWN_DAYS = 30;
const MAX_DAYS = 400;

const FILTER = {
  bucket: bucketField(),
  operation: word(OPERATION_NAMES).optional(),
  fileid: text().optional(),
  from: time(0).optional(),
  to: time(DAY_MS - 1)
    .optional()
    .describe("Inclusive."),
};

export function addInsightCalls(
  calls: Calls,
  { operations, usage, registry, now }: InsightParts & { readonly registry: Domains; readonly now: () => number },
): void {
  const filterOf = ({ bucket, operation, fileid, from, to }: InputOf<typeof FILTER>): OperationFilter => ({
    bucketId: bucketIdNamed(bucket, registry),
    ...{ operation, fileid, from, to },
  });
  calls.get(
    "/log",
    {
      summary: "A page of the operation log (操作日志)",
      fields: {
        ...FILTER,
        after: whole(0, Number.MAX_SAFE_INTEGER).default(0).describe("The `next` of the previous page."),
        limit: whole(1, MAX_LISTED).default(MAX_LISTED),
        latest: whole(1, MAX_LISTED).optional().describe("Instead of a page: this many of the newest entries."),
      },
      answer: { json: logPage },
    },
    async (context, { after, limit, latest, ...query }) => {
      const filter = filterOf(query);
      const { entries, next } =
        latest === undefined
          ? await operations.page(filter, { after, limit })
          : { entries: await operations.latest(filter, latest), next: undefined };
      return context.json({ entries: entries.map(entryView), next });
    },
  );
  calls.get(
    "/log.csv",
    {
      summary: "The operation log as one file, in the documented columns",
      fields: FILTER,
      answer: { mediaType: "text/csv" },
    },
    (context, query) => {
      const body = ReadableStream.from(csvOf(operations, filterOf(query))).pipeThrough(new TextEncoderStream());
      return context.body(body, 200, {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="operations.csv"',
      });
    },
  );
  calls.get(
    "/usage",
    {
      summary: "Usage of each bucket by day (UTC)",
      fields: { bucket: bucketField(), from: day().optional(), to: day().optional().describe("Inclusive.") },
      answer: { json: usageAnswer },
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

async function* csvOf(operations: OperationLog, filter: OperationFilter): AsyncGenerator<string, void, undefined> {
  yield `${CSV_HEADER}\r\n`;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: Awaited<ReturnType<OperationLog["page"]>> = await operations.page(filter, { after, limit: MAX_LISTED });
    if (page.entries.length > 0) yield page.entries.map((entry) => `${csvLine(entry)}\r\n`).join("");
    after = page.next;
  }
}

function entryView({ at, reportedAt, bucketId: bucket, ...entry }: LoggedOperation): object {
  return { ...entry, bucket, time: new Date(at).toISOString(), reportTime: new Date(reportedAt).toISOString() };
}
