// A recipe with the name of its variants, made once for an instruction or alias and shared by all its requests. The
// name identifies the canonical text and the rendering version of this program. It stores nothing.
import { hash } from "node:crypto";
import { canonicalText } from "./canonical-text.ts";
import { dependsOnAccept, negotiatedAs } from "./negotiate.ts";
import { type AutoFormat, type Recipe, signedWatermarkUrls, watermarkUrls } from "./recipe.ts";

/** Rendering version. Raised when equal recipes give other pixels, so that older variants are rendered again. */
const RENDERING = 7;

export interface NamedRecipe {
  readonly recipe: Recipe;
  /** 32 hex digits. Must not be used while the recipe depends on the Accept header. */
  readonly name: string;
  /** URLs of its image watermarks as written, with their tokens. */
  readonly signedWatermarks: readonly string[];
  /** The same URLs without tokens, each once. */
  readonly watermarks: readonly string[];
  /** The recipe for clients that accept this format; undefined if the recipe does not depend on the Accept header. */
  readonly negotiated: ((format: AutoFormat) => NamedRecipe) | undefined;
}

export function nameRecipe(recipe: Recipe): NamedRecipe {
  const name = shortHash(`${RENDERING}|${canonicalText(recipe)}`);
  const named = { recipe, name, signedWatermarks: signedWatermarkUrls(recipe), watermarks: watermarkUrls(recipe) };
  return { ...named, negotiated: dependsOnAccept(recipe) ? negotiating(recipe) : undefined };
}

/** Names each negotiated recipe once. */
function negotiating(recipe: Recipe): (format: AutoFormat) => NamedRecipe {
  const known = new Map<AutoFormat, NamedRecipe>();
  return (format) => {
    const named = known.get(format) ?? nameRecipe(negotiatedAs(recipe, format));
    known.set(format, named);
    return named;
  };
}

/** The first 32 hex digits of the SHA-256. */
export function shortHash(text: string): string {
  return hash("sha256", text).slice(0, 32);
}
