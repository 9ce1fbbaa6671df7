// Types of the lab: a fault and its observed result. Each row runs itself against the lab, so that one table can hold
// all kinds of faults.
import type { Lab } from "./lab.ts";

/** Column → observed value. The rows of a group have the same columns, in the same order. */
export type Seen = Readonly<Record<string, string | number>>;

export interface Fault {
  /** Unique in the whole table; also the key of the row's object. */
  readonly id: string;
  /** The fault: an action of the origin, the network or the client. */
  readonly what: string;
  readonly expected: Seen;
  observe(lab: Lab): Promise<Seen>;
}

export interface FaultGroup {
  readonly title: string;
  /** One or two sentences for docs/internals/faults.md. */
  readonly about: string;
  readonly faults: readonly Fault[];
}

/** One column of a group: its heading in docs/internals/faults.md. */
export const COLUMNS = {
  client: "client got",
  requests: "origin requests",
  stored: "stored",
  next: "next good response",
  reached: "connections inside",
  target: "requested from origin",
  again: "on retry",
} as const satisfies Record<string, string>;
