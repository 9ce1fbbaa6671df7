// The words of the bench: what a case is given, and what it says. No measuring, no printing.
import type { Origin } from "./contenders.ts";

/** How long and how often. */
export interface Effort {
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly repeats: number;
  /** Smaller sets too: to see that it works, not for the record. */
  readonly isQuick: boolean;
}

/** What every case is given. */
export interface Bench {
  /** Options of every contender. */
  readonly place: { readonly folder: string; readonly originPort: number };
  readonly origin: Origin;
  readonly effort: Effort;
}

/** What requests to one contender cost: medians of the repeats. */
export interface Figures {
  readonly contender: string;
  /** A request. */
  readonly cpuMicros: number;
  /** Milliseconds, seen by 64 connections at once, of uploads by 16. */
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  /** Of the time that the servers' core was busy, the part that went to programs outside the bench, 0 to 1. */
  readonly foreign: number;
  /** Resident, the most ever, all its processes. */
  readonly peakBytes: number;
}

/** The bounds of a verdict. */
export interface Target {
  readonly must: number;
  readonly aim: number;
  /** Larger is better; everywhere else smaller is. */
  readonly isLeast?: true;
}

/** `×` is our CPU time a request divided by the other's, in the same run. Without a target it is told, not judged. */
export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly unit: "×" | "µs" | "MB" | "requests";
  readonly target: Target | undefined;
}

export interface Outcome {
  readonly title: string;
  readonly figures: readonly Figures[];
  readonly verdicts: readonly Verdict[];
}

/** Our figures, the first of the list, by each other's. The target is for the one named `against`. */
export function ratios(what: string, figures: readonly Figures[], against: string, target?: Target): Verdict[] {
  const [ours, ...others] = figures;
  return others.map(({ contender, cpuMicros }) => ({
    what: `${what}: CPU ÷ ${contender}'s`,
    value: (ours?.cpuMicros ?? Number.NaN) / cpuMicros,
    unit: "×",
    target: contender === against ? target : undefined,
  }));
}

/** Images that we make in the time in which another makes one. The targets are by the others' names. */
export function speeds(
  what: string,
  figures: readonly Figures[],
  targets: Readonly<Record<string, Target>>,
): Verdict[] {
  const [ours, ...others] = figures;
  return others.map(({ contender, cpuMicros }) => ({
    what: `${what}: images a second ÷ ${contender}'s`,
    value: cpuMicros / (ours?.cpuMicros ?? Number.NaN),
    unit: "×",
    target: targets[contender],
  }));
}
