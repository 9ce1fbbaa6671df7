// 原图保护: a protected bucket serves only aliases. An original is served only if a signed URL asks for it by
// `ci-process=originImage`.
import { HuiyuanError } from "../../core/errors.ts";
import type { NamedObject } from "./object-name.ts";
import type { ProcessingRequest } from "./processing-request.ts";
import type { Authorizer, Site } from "./site.ts";

const FOR_ORIGINAL = "ci-process=originImage";

/** The query without the request for an original; the bucket's rules never see that part. */
export function queryWithoutEscape({ originalAuthorizer }: Site, query: string): string {
  if (originalAuthorizer === undefined || !query.includes(FOR_ORIGINAL)) return query;
  return query
    .split("&")
    .filter((part) => part !== FOR_ORIGINAL)
    .join("&");
}

/** The authorizer that checks a URL for an original; undefined if the URL names an alias. Throws original_protected. */
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
