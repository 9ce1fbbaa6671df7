// Parses sizes and durations: "64MiB" → bytes, "30s" → milliseconds. It knows no dates.
import * as z from "zod";
import { type Both, say } from "../fault-words.ts";
import { coded, wanted } from "../faults.ts";

const SIZE_UNITS = {
  B: 1,
  KB: 10 ** 3,
  MB: 10 ** 6,
  GB: 10 ** 9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
} as const satisfies Record<string, number>;

const DURATION_UNITS = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const satisfies Record<string, number>;

const SIZE = /^(\d{1,15})(B|KB|MB|GB|KiB|MiB|GiB)?$/;
const DURATION = /^(\d{1,15})(ms|s|m|h|d)$/;

/** Bytes of `64MB` (10^6), `64MiB` (2^20), `512B` or `512`. Undefined: not a size, or beyond exact numbers. */
export function parseSize(text: string): number | undefined {
  return quantity(SIZE.exec(text), SIZE_UNITS);
}

/** Milliseconds of `500ms`, `30s`, `5m`, `2h` or `7d`. Undefined: not a duration; a bare number has no unit. */
export function parseDuration(text: string): number | undefined {
  return quantity(DURATION.exec(text), DURATION_UNITS);
}

function quantity(match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number | undefined {
  if (match === null) return undefined;
  const value = Number(match[1]) * (match[2] === undefined ? 1 : (units[match[2]] ?? Number.NaN));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Both bounds inclusive, written as in the settings. */
interface Bounds {
  readonly min?: string;
  readonly max?: string;
}

/** The type and the bounds of a size or duration in the metadata of its schema, for the reference. */
export interface Quantity extends Bounds {
  readonly type: "size" | "duration";
}

/** Schema of a size, in bytes. The file may also have a plain whole number of bytes. */
export function size(bounds: Bounds = {}) {
  const error = wanted("a size such as 64MB, 64MiB or a whole number of bytes", "大小，例如 64MB、64MiB，或整数字节数");
  return z
    .union([z.string({ error }).regex(SIZE), z.int({ error }).min(0)], { error })
    .transform(bounded(parseSize, bounds))
    .meta({ quantity: { type: "size", ...bounds } });
}

/** Schema of a duration, in milliseconds. `0s` usually means off, if the bounds allow it. */
export function duration(bounds: Bounds = {}) {
  const error = wanted(
    "a duration with its unit, such as 500ms, 30s, 5m, 2h or 7d",
    "带单位的时长，例如 500ms、30s、5m、2h 或 7d",
  );
  return z
    .string({ error })
    .regex(DURATION)
    .transform(bounded(parseDuration, bounds))
    .meta({ quantity: { type: "duration", ...bounds } });
}

function bounded(parse: typeof parseSize, { min, max }: Bounds) {
  return (input: string | number, context: z.core.$RefinementCtx<string | number>): number => {
    const value = parse(String(input));
    const isTooSmall = min !== undefined && value !== undefined && value < (parse(min) ?? 0);
    const isTooBig = value === undefined || (max !== undefined && value > (parse(max) ?? 0));
    const add = (message: Both) => context.addIssue({ code: "custom", message: coded(message) });
    if (isTooSmall) add(say("foundAtLeast", { found: input, min }));
    if (isTooBig) add(say("foundAtMost", { found: input, max: max ?? "2^53 - 1" }));
    return value ?? 0;
  };
}
