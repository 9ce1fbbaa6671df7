// Chooses the format of `format/auto` by the Accept header (RFC 9110 §12.5.1): AVIF, WebP or neither. If neither,
// the image decides between JPEG, PNG and GIF. Quality values do not rank them, so that there are few variants.
import type { AutoFormat, OutputFormat, Recipe } from "./recipe.ts";

/** The recipe with `format/auto` replaced by the negotiated format: AVIF, else WebP, else JPEG, PNG or GIF. */
export function negotiatedAs(recipe: Recipe, format: AutoFormat): Recipe {
  return { ...recipe, output: { ...recipe.output, format } };
}

/** The best format that this Accept header names. Wildcards do not count, because `*` does not imply AVIF. */
export function acceptedFormat(accept: string): AutoFormat {
  const names = acceptedTypes(accept);
  if (names.has("image/avif")) return "autoAvif";
  return names.has("image/webp") ? "autoWebp" : "autoPlain";
}

/** Whether responses differ by Accept and need `Vary: Accept`. */
export function dependsOnAccept(recipe: Recipe): boolean {
  return recipe.output.format === "auto";
}

/** The format of the result. */
export function outputFormat(
  wanted: Recipe["output"]["format"],
  source: { readonly format: OutputFormat; readonly isAnimated: boolean; readonly isOpaque: boolean },
): OutputFormat {
  switch (wanted) {
    case undefined:
      return source.format;
    case "autoAvif":
      // Clients that accept AVIF accept WebP, and libvips can write all frames only as WebP.
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

/** Formats that every client accepts. A JPEG with round corners stays a JPEG and gets white corners. */
const PLAIN: readonly OutputFormat[] = ["jpeg", "png", "gif"];

const MAX_ACCEPT_LENGTH = 1024;

/** Media types with a quality above 0, in lower case. */
function acceptedTypes(accept: string): ReadonlySet<string> {
  const types = new Set<string>();
  for (const range of accept.slice(0, MAX_ACCEPT_LENGTH).toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (!parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter))) types.add(type);
  }
  return types;
}
