// 原图保护: of a protected bucket aliases are shown and nothing else, but for an original that a signed URL asks for by name.
import { HuiyuanError } from "../../core/errors.ts";
import type { NamedObject } from "./object-name.ts";
import type { ProcessingRequest } from "./processing-request.ts";
import type { Authorizer, Site } from "./site.ts";

const FOR_ORIGINAL = "ci-process=originImage";

/** What the bucket's own rules see of a query. */
export function queryWithoutEscape({ originalAuthorizer }: Site, query: string): string {
  if (originalAuthorizer === undefined || !query.includes(FOR_ORIGINAL)) return query;
  return query
    .split("&")
    .filter((part) => part !== FOR_ORIGINAL)
    .join("&");
}

/** The door that a URL has to pass for an original, whoever sends it; undefined: it asks for none. Throws original_protected. */
export function authorizerOfOriginal(
  authorizer: Authorizer,
  url: {
    readonly object: NamedObject;
    readonly processing: ProcessingRequest | undefined;
    readonly asksForOriginal: boolean;
  },
): Authorizer | undefined {
  const { object, processing, asksForOriginal } = url;
  if (processing?.isAlias === true) return undefined;
  if (processing === undefined && asksForOriginal) return authorizer;
  throw new HuiyuanError("original_protected", `Cannot serve "${object.key}": of this bucket only aliases are served`);
}
