// Parses imageView2: one scaling mode with its box, and the output. Its keys may have any order. It does not know the
// image.
import { type OperationReader, type OutputReader, outputKeys } from "./draft.ts";
import type { Box, Step } from "./recipe.ts";
import { MAX_SIDE, readInteger, refuse } from "./values.ts";

type Sides = { readonly width: number | undefined; readonly height: number | undefined };

/**
 * The step of each mode from `w` and `h`; one of them may be absent. By the manual modes 0, 4 and 5 mean long and short
 * edge.
 */
const MODES: Readonly<Record<string, (sides: Sides) => Step>> = {
  "0": ({ width, height }) => ({ name: "resize", rule: { kind: "within", ...box("edges", width, height) } }),
  "1": (sides) => ({ name: "coverCrop", gravity: "center", ...square("sides", sides) }),
  "2": ({ width, height }) => ({ name: "resize", rule: { kind: "within", ...box("sides", width, height) } }),
  "3": (sides) => ({ name: "resize", rule: { kind: "cover", ...square("sides", sides) } }),
  "4": (sides) => ({ name: "resize", rule: { kind: "cover", ...square("edges", sides) } }),
  "5": (sides) => ({ name: "coverCrop", gravity: "center", ...square("edges", sides) }),
};

/** The rules of an operation that begins with a mode. */
export interface ViewRules {
  readonly name: string;
  /** One digit each. */
  readonly modes: string;
  /** Largest `w` and `h`. */
  readonly maxSide: number;
  readonly keys: Readonly<Record<string, OutputReader>>;
}

export const readView = viewReader({ name: "imageView2", modes: "012345", maxSide: MAX_SIDE, keys: outputKeys("q") });

/** Its result throws processing_invalid: unknown mode, unknown or repeated key, or value outside its limits. */
export function viewReader({ name, modes, maxSide, keys }: ViewRules): OperationReader {
  return (draft, [mode = "", ...rest]) => {
    const makeStep = modes.includes(mode) && Object.hasOwn(MODES, mode) ? MODES[mode] : undefined;
    if (makeStep === undefined) refuse({ name, value: mode }, `a mode from ${modes[0]} to ${modes.at(-1)}`);
    let width: number | undefined;
    let height: number | undefined;
    for (const [key, value] of keyedValues(name, rest)) {
      const parameter = { name: `${name}/${key}`, value };
      if (key === "w") width = readInteger(parameter, 1, maxSide);
      else if (key === "h") height = readInteger(parameter, 1, maxSide);
      else if (Object.hasOwn(keys, key)) keys[key]?.(draft, parameter);
      else refuse(parameter, `a key of ${name}`);
    }
    if (width !== undefined || height !== undefined) draft.steps.push(makeStep({ width, height }));
  };
}

/** Reads `key/value/key/value…`, each key once. Throws processing_invalid. */
export function keyedValues(operation: string, segments: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at < segments.length; at += 2) {
    const key = segments[at] ?? "";
    const parameter = { name: `${operation}/${key.slice(0, 40)}`, value: segments[at + 1] ?? "" };
    if (parameter.value === "") refuse(parameter, "a value");
    if (values.has(key)) refuse(parameter, "each key once");
    values.set(key, parameter.value);
  }
  return values;
}

function box(axes: Box["axes"], first: number | undefined, second: number | undefined): Box {
  return { axes, ...(first !== undefined && { first }), ...(second !== undefined && { second }) };
}

/** A box whose absent side equals the other. */
function square(axes: Box["axes"], { width, height }: Sides): Box {
  return box(axes, width ?? height, height ?? width);
}
