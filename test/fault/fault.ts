// The words of the lab: a fault, and what was seen of it. Each row runs itself against the lab, so that the table is one
// list whatever the faults are like.
import type { Lab } from "./lab.ts";

/** Column → what was seen. The rows of a group have the same columns, in the same order. */
export type Seen = Readonly<Record<string, string | number>>;

export interface Fault {
  /** Unique in the whole table; also the key of its object. */
  readonly id: string;
  /** What the origin, the network or the client does. */
  readonly what: string;
  readonly expected: Seen;
  observe(lab: Lab): Promise<Seen>;
}

export interface FaultGroup {
  readonly title: string;
  /** A sentence or two for docs/faults.md. */
  readonly about: string;
  readonly faults: readonly Fault[];
}

/** One column of a group: its heading in docs/faults.md. */
export const COLUMNS = {
  client: "client got",
  requests: "origin requests",
  stored: "stored",
  next: "next good answer",
  reached: "connections inside",
  target: "origin was asked for",
  again: "asked again",
} as const satisfies Record<string, string>;
