// The sequence of steps that all sweeps use: every way of changing a store, two starts, and a sweep.
import { expect } from "vitest";
import type { ChildRun } from "./run-child.ts";
import { applyOperation, EMPTY_MODEL, type Model, type StoreOperation } from "./store-model.ts";

const put = (key: string, body: number, more: Partial<Extract<StoreOperation, { kind: "put" }>> = {}) =>
  ({ kind: "put", key, body, form: "buffer", condition: "absent", via: "mirror", ...more }) as const;

export const SCENARIO: readonly StoreOperation[] = [
  { kind: "open" },
  put("a", 1),
  put("b", 2, { form: "file" }),
  put("a", 3, { condition: "always", via: "upload" }),
  { kind: "copy", key: "b", to: "c", condition: "absent" },
  { kind: "fill", key: "e", body: 4 },
  { kind: "read", key: "e" },
  { kind: "delete", key: "b" },
  // The same bytes again: the blob exists, and the spool file is not needed.
  put("d", 2, { form: "file" }),
  put("d", 5, { form: "file", condition: { over: 2 } }),
  // The copy counts as an upload, which a purge keeps; the mirrored object is purged.
  { kind: "purge", key: "c", hard: true },
  { kind: "purge", key: "e", hard: true },
  { kind: "sweep" },
  { kind: "read", key: "a" },
  { kind: "close" },
  { kind: "open" },
  { kind: "undelete", key: "b" },
  put("b", 6, { form: "file" }),
  { kind: "read", key: "b" },
  { kind: "delete", key: "d" },
  put("d", 5, { form: "file" }),
  put("d", 4, { condition: "vacant", via: "upload" }),
  { kind: "copy", key: "a", to: "d", condition: "vacant" },
  { kind: "read", key: "d" },
  { kind: "close" },
];

/**
 * The allowed states after this run: all acknowledged steps. If the process was killed, the current or just failed step
 * may also be there. While the process lives, a failed step has changed nothing.
 */
export function allowedAfter(
  operations: readonly StoreOperation[],
  { reports, signal }: ChildRun,
  from = EMPTY_MODEL,
): Model[] {
  let model = from;
  for (const report of reports) {
    if (!("done" in report)) continue;
    const expected = applyOperation(model, operations[report.done]!);
    expect(report.answer, `the answer to step ${report.done}`).toBe(expected.answer);
    model = expected.model;
  }
  const last = reports.at(-1);
  if (signal !== "SIGKILL" || last === undefined || "done" in last) return [model];
  const unsettled = operations["begun" in last ? last.begun : last.failed]!;
  return [model, applyOperation(model, unsettled).model];
}
