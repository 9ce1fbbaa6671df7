// 原图保护: of a protected bucket aliases are shown and nothing else, but for an original that a signed URL asks for by name.
import { HuiyuanError } from "../errors.ts";
import type { NamedObject, ObjectUrl } from "./object-name.ts";
import type { Site, TokenDoor } from "./site.ts";
import type { Wish } from "./wish.ts";

const FOR_ORIGINAL = "ci-process=originImage";

/** What the bucket's own rules see of a query. */
export function queryWithoutEscape({ originalDoor }: Site, query: string): string {
  if (originalDoor === undefined || !query.includes(FOR_ORIGINAL)) return query;
  return query
    .split("&")
    .filter((part) => part !== FOR_ORIGINAL)
    .join("&");
}

/**
 * The door that a URL's token has to pass, whoever sends it; undefined: that of the bucket. `rawQuery`: with the escape.
 * Throws original_protected.
 */
export function doorOfOriginal(
  { originalDoor }: Site,
  url: ObjectUrl & { readonly rawQuery: string },
  { object, wish }: { readonly object: NamedObject; readonly wish: Wish | undefined },
): TokenDoor | undefined {
  if (originalDoor === undefined || wish?.isAlias === true) return undefined;
  if (wish === undefined && url.rawQuery !== url.query) return originalDoor;
  throw new HuiyuanError("original_protected", `Cannot serve "${object.key}": of this bucket only aliases are served`);
}
