// What is made of an original for one request, with the images that are laid over it.
import type { Variant, VariantRequest } from "../../mirror/variants/variants.ts";
import type { Wish } from "../request/processing-request.ts";
import type { Admission } from "../request/site.ts";
import type { AnswerLife } from "../response/cache-control.ts";
import { type Admitted, clientOf } from "./download-context.ts";
import { marksOf } from "./miss.ts";
import { type FoundMarks, findMarks } from "./watermarks.ts";

export interface Made {
  /** False: the origin of the original or of a mark forbids to keep it. */
  readonly isKept: boolean;
  readonly variant: Variant;
  /** Of what was laid over. */
  readonly life: AnswerLife | undefined;
  /** Of the tokens of its marks. */
  readonly admission: Admission | undefined;
}

/** Throws the codes of Variants.get and of findMarks. */
export async function makeVariant(
  { site, sites, exchange, token }: Admitted,
  { isAlias }: Wish,
  request: Omit<VariantRequest, "marks" | "signal">,
): Promise<Made> {
  const signal = clientOf(exchange);
  const { variants, stored } = site;
  const urls = request.named.signedMarks;
  const { via, cdnLoop } = marksOf(exchange);
  // What an alias lays over images is the operator's choice.
  const client = isAlias ? undefined : token;
  const found = urls.length === 0 ? NO_MARKS : await findMarks(urls, { sites, stored, client, via, cdnLoop, signal });
  const { marks, life, admission } = found;
  const isKept = request.isStored && found.isKept;
  try {
    return { variant: await variants.get({ ...request, marks, isStored: isKept, signal }), isKept, life, admission };
  } finally {
    found.release();
  }
}

const NO_MARKS: FoundMarks = {
  marks: new Map(),
  life: undefined,
  isKept: true,
  admission: undefined,
  release() {},
};
