// Which objects a download's token may be for: the name in the URL, the whole key, or the original that an alias is for.
import type { Key } from "../object.ts";
import type { NamedObject } from "./object-name.ts";
import type { Admission, TokenDoor } from "./site.ts";
import type { Wish } from "./wish.ts";

export interface Admitting {
  readonly admission: Admission;
  /** The token is for the original of the alias, and for no object that is really named like the two together. */
  readonly isForOriginal: boolean;
}

/** Throws the sign_* codes. */
export function admitNamed(
  door: TokenDoor,
  sign: string | undefined,
  { object, alias }: { readonly object: Pick<NamedObject, "key" | "request">; readonly alias?: Wish | undefined },
): Admitting {
  const { path } = object.request;
  const own: readonly Key[] = [path, object.key];
  const originals: readonly Key[] = alias === undefined ? [] : [alias.path, alias.original.key];
  // Most URLs have one name, and need not be asked about twice.
  const isOne = alias === undefined && object.key === path;
  const bound = isOne || sign === undefined ? undefined : door.boundFile(sign);
  const name = bound === undefined ? undefined : [...own, ...originals].find((each) => each === bound);
  const isForOriginal = name !== undefined && !own.includes(name);
  return { admission: door.admit(sign, name ?? path), isForOriginal };
}
