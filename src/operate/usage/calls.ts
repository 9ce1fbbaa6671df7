// The admin API call for usage by day. usage.ts counts and stores it.
import type { Calls } from "../admin/calls.ts";
import { invalid } from "../admin/input.ts";
import { bucketIdNamed, type Domains } from "../admin/naming.ts";
import { showUsage } from "./contract.ts";
import { dayOf, type Usage } from "./usage.ts";

const DAY_MS = 86_400_000;
const SHOWN_DAYS = 30;
const MAX_DAYS = 400;

export function addUsageCall(
  calls: Calls,
  { usage, registry }: { readonly usage: Usage; readonly registry: Domains },
): void {
  calls.add(showUsage, async (context, query) => {
    const to = query.to ?? dayOf(Date.now());
    const from = query.from ?? dayOf(Date.parse(to) - (SHOWN_DAYS - 1) * DAY_MS);
    if (Date.parse(to) - Date.parse(from) > MAX_DAYS * DAY_MS) throw invalid(`at most ${MAX_DAYS} days at once`);
    return context.json({ days: await usage.days({ bucketId: bucketIdNamed(query.bucket, registry), from, to }) });
  });
}
