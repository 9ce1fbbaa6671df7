// 原图保护: of a protected bucket aliases are shown and nothing else, but for an original that a signed URL asks for by name.
import { HuiyuanError } from "../../core/errors.ts";
import type { NamedObject } from "./object-name.ts";
import type { Wish } from "./processing-request.ts";
import type { Site, TokenDoor } from "./site.ts";

const FOR_ORIGINAL = "ci-process=originImage";

/** What the bucket's own rules see of a query. */
export function queryWithoutEscape({ originalDoor }: Site, query: string): string {
  if (originalDoor === undefined || !query.includes(FOR_ORIGINAL)) return query;
  return query
    .split("&")
    .filter((part) => part !== FOR_ORIGINAL)
    .join("&");
}

/** The door that a URL has to pass for an original, whoever sends it; undefined: it asks for none. Throws original_protected. */
export function doorOfOriginal(
  door: TokenDoor,
  url: { readonly object: NamedObject; readonly wish: Wish | undefined; readonly asksForOriginal: boolean },
): TokenDoor | undefined {
  const { object, wish, asksForOriginal } = url;
  if (wish?.isAlias === true) return undefined;
  if (wish === undefined && asksForOriginal) return door;
  throw new HuiyuanError("original_protected", `Cannot serve "${object.key}": of this bucket only aliases are served`);
}
