// The result of comparing source and target. The journal keeps the last one.
import type { MigrationAnswer } from "../contract.ts";

type Answered = NonNullable<MigrationAnswer["verification"]>;
export type FindingKind = Answered["findings"][number]["kind"];

/** The contract says what the counts mean. They change while verify() runs. */
export interface Tally extends Pick<Answered, "objects" | "done" | "equal" | "hashed" | "skipped" | "bytes"> {
  /** `first`: the first 10 of each kind. `reason`: empty if the kind says all. */
  readonly findings: Readonly<
    Record<FindingKind, { count: number; readonly first: { readonly fileid: string; readonly reason: string }[] }>
  >;
}

/** `troubles` undefined: it has not ended. */
export interface Verification extends Tally, Readonly<Pick<Answered, "at" | "sample" | "troubles">> {}

export function createTally(): Tally {
  const none = () => ({ count: 0, first: [] });
  const findings = { differs: none(), missing: none(), gone: none(), unread: none(), failed: none(), deleted: none() };
  return { objects: 0, done: 0, equal: 0, hashed: 0, skipped: 0, bytes: 0, findings };
}
