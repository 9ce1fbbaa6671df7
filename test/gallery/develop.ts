// Renders the sheet's examples in render processes, as the server does, and returns the results. It makes no page.
import { HuiyuanError } from "../../src/core/errors.ts";
import { parseInstruction } from "../../src/serve/image/grammar/grammar.ts";
import { acceptedFormat, dependsOnAccept, negotiatedAs } from "../../src/serve/image/grammar/negotiate.ts";
import { mayServeOriginal, type Recipe } from "../../src/serve/image/grammar/recipe.ts";
import { createRenderer, type Renderer } from "../../src/serve/image/renderer.ts";
import { claimsOf, shownAs } from "../helpers/rendering.ts";
import { ALL_INSPECTIONS, ALL_OUTPUTS, ALL_STEPS, type Example, MARK_HOST, type Section } from "./sheet.ts";
import type { Source, Sources } from "./sources.ts";

/** An instruction's result for one picture. */
export type Developed = {
  readonly example: Example;
  readonly source: Source;
  /** Time of the render, including the wait for a process. */
  readonly milliseconds: number;
} & (
  | { readonly kind: "image"; readonly bytes: Buffer; readonly mediaType: string; readonly frames: number }
  /** The JSON of an inspection. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
);

/** Renders all examples of all sections, in order. Throws if the sheet lacks something that a recipe can hold. */
export async function develop(
  sections: readonly Section[],
  sources: Sources,
): Promise<readonly { readonly title: string; readonly pictures: readonly Developed[] }[]> {
  refuseGaps(sections);
  const renderer = createRenderer({ renders: 2, renderMs: 20_000, pixels: 100_000_000, frames: 300 });
  try {
    const done: { title: string; pictures: Developed[] }[] = [];
    for (const { title, examples } of sections) {
      const pictures = await Promise.all(examples.map((example) => developOne(renderer, example, sources)));
      done.push({ title, pictures });
    }
    return done;
  } finally {
    await renderer.close();
  }
}

async function developOne(renderer: Renderer, example: Example, sources: Sources): Promise<Developed> {
  const source = sources.get(example.source);
  if (source === undefined) throw new Error(`Cannot show ${example.instruction}: there is no ${example.source}`);
  const began = performance.now();
  const shown = () => ({ example, source, milliseconds: performance.now() - began });
  try {
    const recipe = recipeOf(example);
    const bytes = await renderer
      .render({
        ...claimsOf(source.bytes),
        load: async () => source.bytes,
        recipe,
        loadImage: async (url) => {
          const { host, pathname } = new URL(url);
          return host === MARK_HOST ? sources.get(pathname.slice(1))?.bytes : undefined;
        },
        signal: new AbortController().signal,
      })
      .catch((error: unknown) => {
        if (!(error instanceof HuiyuanError) || !mayServeOriginal(recipe, error)) throw error;
        return source.bytes;
      });
    const rendered = shownAs(bytes);
    const { mediaType } = rendered;
    if (mediaType === "application/json") return { ...shown(), kind: "text", text: bytes.toString() };
    return { ...shown(), kind: "image", bytes, mediaType, frames: rendered.image.frames };
  } catch (error) {
    if (!(error instanceof HuiyuanError)) throw error;
    return { ...shown(), kind: "refused", code: error.code, message: error.message };
  }
}

function recipeOf({ instruction, accept, era = 2015 }: Example): Recipe {
  const recipe = parseInstruction(instruction, { era });
  return dependsOnAccept(recipe) ? negotiatedAs(recipe, acceptedFormat(accept ?? "")) : recipe;
}

function refuseGaps(sections: readonly Section[]): void {
  const seen = new Set<string>();
  for (const example of sections.flatMap(({ examples }) => examples)) {
    try {
      const { steps, output, inspection } = recipeOf(example);
      for (const { name } of steps) seen.add(name);
      for (const name of Object.keys(output)) seen.add(name);
      if (inspection !== undefined) seen.add(inspection);
    } catch {
      // an example that must be refused
    }
  }
  const all = Object.keys({ ...ALL_STEPS, ...ALL_OUTPUTS, ...ALL_INSPECTIONS });
  const missing = all.filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`The gallery does not show ${missing.join(", ")}`);
}
