// `format/auto`: which format a client takes, told from its Accept header. Few outcomes, so that there are few variants.
import type { AutoFormat, OutputFormat, Recipe } from "./recipe.ts";

/** The recipe with `format/auto` settled: AVIF, else WebP, else JPEG, PNG or GIF. */
export function negotiatedAs(recipe: Recipe, format: AutoFormat): Recipe {
  return { ...recipe, output: { ...recipe.output, format } };
}

/** What a client with this Accept header takes: only types that it names count, for `*` says nothing about AVIF. */
export function acceptedFormat(accept: string): AutoFormat {
  const names = acceptedTypes(accept);
  if (names.has("image/avif")) return "autoAvif";
  return names.has("image/webp") ? "autoWebp" : "autoPlain";
}

/** Whether answers differ by Accept, and so need `Vary: Accept`. */
export function dependsOnAccept(recipe: Recipe): boolean {
  return recipe.output.format === "auto";
}

/** What the result is written as. */
export function outputFormat(
  wanted: Recipe["output"]["format"],
  source: { readonly format: OutputFormat; readonly isAnimated: boolean; readonly isOpaque: boolean },
): OutputFormat {
  switch (wanted) {
    case undefined:
      return source.format;
    case "autoAvif":
      // Whoever takes AVIF takes WebP, which can be written with all its frames.
      return source.isAnimated ? "webp" : "avif";
    case "autoWebp":
      return "webp";
    case "auto":
    case "autoPlain":
      if (PLAIN.includes(source.format)) return source.format;
      return source.isOpaque ? "jpeg" : "png";
    default:
      return wanted;
  }
}

/** Formats that every client takes; a photograph whose corners were cut off stays one, with white ones. */
const PLAIN: readonly OutputFormat[] = ["jpeg", "png", "gif"];

const MAX_ACCEPT_LENGTH = 1024;

/** The types with a quality above 0, in lower case. */
function acceptedTypes(accept: string): ReadonlySet<string> {
  const types = new Set<string>();
  for (const range of accept.slice(0, MAX_ACCEPT_LENGTH).toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (!parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter))) types.add(type);
  }
  return types;
}
