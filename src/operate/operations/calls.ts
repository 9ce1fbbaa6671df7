// Admin API calls for the operation log: JSON pages, or one CSV file.
import type { Calls } from "../admin/calls.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import { bucketIdNamed, type Domains } from "../admin/naming.ts";
import { type LogPage, showLog, showLogCsv } from "./contract.ts";
import { CSV_HEADER, csvLine } from "./logged-operation.ts";
import type { OperationFilter, OperationLog } from "./operation-log.ts";

const PAGE = 1_000;

export function addLogCalls(
  calls: Calls,
  { operations, registry }: { readonly operations: OperationLog; readonly registry: Domains },
): void {
  const filterOf = ({ bucket, ...query }: InputOf<typeof showLogCsv>): OperationFilter => ({
    ...query,
    bucketId: bucketIdNamed(bucket, registry),
  });
  calls.add(showLog, async (context, { after, limit, latest, ...query }) => {
    const filter = filterOf(query);
    if (latest === undefined) return context.json(await operations.page(filter, { after, limit }));
    return context.json({ entries: await operations.latest(filter, latest) });
  });
  calls.add(showLogCsv, (context, query) => {
    const body = ReadableStream.from(csvOf(operations, filterOf(query))).pipeThrough(new TextEncoderStream());
    return context.body(body, 200, {
      "Content-Type": "text/csv; charset=utf-8",
      "Content-Disposition": 'attachment; filename="operations.csv"',
    });
  });
}

async function* csvOf(operations: OperationLog, filter: OperationFilter): AsyncIterable<string> {
  yield `${CSV_HEADER}\r\n`;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page: LogPage = await operations.page(filter, { after, limit: PAGE });
    if (page.entries.length > 0) yield page.entries.map((entry) => `${csvLine(entry)}\r\n`).join("");
    after = page.next;
  }
}
