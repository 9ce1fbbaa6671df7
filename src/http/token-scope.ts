// Which objects a download's token may be for: the name in the URL, the whole key, or the original that an alias is for.
import { HuiyuanError } from "../errors.ts";
import type { NamedObject } from "./object-name.ts";
import type { Admission, Site } from "./site.ts";
import type { Wish } from "./wish.ts";

type Admit = NonNullable<Site["admit"]>;

export interface Admitting {
  readonly admission: Admission;
  /** The token is for the original of the alias, and for no object that is really named like the two together. */
  readonly isForOriginal: boolean;
}

/** Throws the sign_* codes. */
export function admitNamed(
  admit: Admit,
  sign: string | undefined,
  { object, alias }: { readonly object: Pick<NamedObject, "key" | "request">; readonly alias?: Wish | undefined },
): Admitting {
  const { path } = object.request;
  const admission =
    admitFor(admit, sign, path) ?? (object.key === path ? undefined : admitFor(admit, sign, object.key));
  if (admission !== undefined) return { admission, isForOriginal: false };
  const name = alias?.path ?? path;
  return { admission: admit(sign, name), isForOriginal: alias !== undefined };
}

/** Undefined: the token is for something else. */
function admitFor(admit: Admit, sign: string | undefined, name: NamedObject["key"]): Admission | undefined {
  try {
    return admit(sign, name);
  } catch (error) {
    if (error instanceof HuiyuanError && error.code === "sign_scope") return undefined;
    throw error;
  }
}
