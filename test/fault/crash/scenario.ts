// The one sequence of steps that the sweeps go through: every way of changing a store, two starts, and a sweep.
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
  // The same bytes again: the blob is there already, and the file is not needed.
  put("d", 2, { form: "file" }),
  put("d", 5, { form: "file", condition: { over: 2 } }),
  // A copy is an upload, which no purge takes; what the mirror brought goes.
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
 * The states that may be found after this run: what was acknowledged; where the process was killed also with the step
 * that was under way, or had failed just then. A failed step has changed nothing for as long as the process lived.
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
