// Types of the bench: the input of a case and its outcome. It measures and prints nothing.
import type { Origin } from "./contenders.ts";
import { middleOf } from "./pairs.ts";

/** Duration and number of measurements. */
export interface Effort {
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly repeats: number;
  /** Uses smaller sets too: only to see that the bench works, not for published figures. */
  readonly isQuick: boolean;
}

/** The input of every case. */
export interface Bench {
  /** Options shared by all contenders. */
  readonly place: { readonly folder: string; readonly originPort: number };
  readonly origin: Origin;
  readonly effort: Effort;
}

/** Cost of requests to one contender: medians of the repeats. */
export interface Figures {
  readonly contender: string;
  /** CPU time per request. */
  readonly cpuMicros: number;
  /** Milliseconds, measured over 64 concurrent connections, for uploads over 16. */
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  /** Fraction of the server core's busy time that other programs used, 0 to 1. */
  readonly foreign: number;
  /** Peak resident memory of all its processes. */
  readonly peakBytes: number;
  /** Each repeat: all contenders had the same one in turns. */
  readonly rounds: readonly Pick<Figures, "cpuMicros" | "p99">[];
}

/** The bounds against which a figure is judged. */
export interface Target {
  readonly must: number;
  readonly aim: number;
  /** True if a larger figure is better; by default a smaller one is. */
  readonly isLeast?: true;
}

/**
 * `×` is our CPU time per request divided by the other's, in the same run. A figure without a target is reported, not
 * judged.
 */
export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly unit: "×" | "µs" | "ms" | "bytes" | "MB" | "requests" | "objects";
  readonly target: Target | undefined;
}

export interface Outcome {
  readonly title: string;
  readonly figures: readonly Figures[];
  readonly verdicts: readonly Verdict[];
}

/**
 * Divides our figures (the first of the list) by each contender's. The target applies to the contender named `against`.
 */
export function ratios(what: string, figures: readonly Figures[], against: string, target?: Target): Verdict[] {
  const [ours, ...others] = figures;
  return others.map(({ contender, cpuMicros }) => ({
    what: `${what}: CPU ÷ ${contender}'s`,
    value: (ours?.cpuMicros ?? Number.NaN) / cpuMicros,
    unit: "×",
    target: contender === against ? target : undefined,
  }));
}

/** Targets beside one other contender. */
export interface SpeedTargets {
  readonly speed: Target;
  readonly p99?: Target;
}

/**
 * Images that we make in the time in which the other makes one, and our p99 divided by the other's if it has a target:
 * medians of the rounds' ratios, because other work on the machine slows both down. Targets are keyed by the other's
 * name.
 */
export function speeds(
  what: string,
  figures: readonly Figures[],
  targets: Readonly<Record<string, SpeedTargets>>,
): Verdict[] {
  const [ours, ...others] = figures;
  return others.flatMap(({ contender, rounds }) => {
    const { speed, p99 } = targets[contender] ?? {};
    const middle = (of: "cpuMicros" | "p99") =>
      middleOf(rounds.map((round, index) => (ours?.rounds[index]?.[of] ?? Number.NaN) / round[of])).median;
    const made = `${what}: images a second ÷ ${contender}'s`;
    const late = { what: `${what}: p99 ÷ ${contender}'s`, value: middle("p99"), unit: "×", target: p99 } as const;
    return [
      { what: made, value: 1 / middle("cpuMicros"), unit: "×", target: speed },
      ...(p99 === undefined ? [] : [late]),
    ];
  });
}
