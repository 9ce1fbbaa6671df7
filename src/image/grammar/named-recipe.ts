// A recipe with the names of its variants: made once of an instruction or an alias, used by every request for it. The name
// stands for the canonical text, and for what this version of the program makes of it.
import { hash } from "node:crypto";
import { canonicalText } from "./canonical-text.ts";
import { dependsOnAccept, negotiatedAs } from "./negotiate.ts";
import { type AutoFormat, type Recipe, signedWatermarkUrls, watermarkUrls } from "./recipe.ts";

/** Raised when equal recipes begin to give other pixels, so that variants of an earlier version are made anew. */
const RENDERING = 7;

export interface NamedRecipe {
  readonly recipe: Recipe;
  /** 32 hex digits. Means nothing while the recipe depends on the Accept header. */
  readonly name: string;
  /** The URLs of its image marks, as written: with their tokens. */
  readonly signedWatermarks: readonly string[];
  /** The same without, each once. */
  readonly watermarks: readonly string[];
  /** Undefined: the recipe does not depend on the Accept header. Else the one for clients that take this. */
  readonly negotiated: ((format: AutoFormat) => NamedRecipe) | undefined;
}

export function nameRecipe(recipe: Recipe): NamedRecipe {
  const name = shortHash(`${RENDERING}|${canonicalText(recipe)}`);
  const named = { recipe, name, signedWatermarks: signedWatermarkUrls(recipe), watermarks: watermarkUrls(recipe) };
  return { ...named, negotiated: dependsOnAccept(recipe) ? negotiating(recipe) : undefined };
}

/** Each named once. */
function negotiating(recipe: Recipe): (format: AutoFormat) => NamedRecipe {
  const known = new Map<AutoFormat, NamedRecipe>();
  return (format) => {
    const named = known.get(format) ?? nameRecipe(negotiatedAs(recipe, format));
    known.set(format, named);
    return named;
  };
}

/** 32 hex digits. */
export function shortHash(text: string): string {
  return hash("sha256", text).slice(0, 32);
}
