// The rules of one kind of origin over HTTP: its server, its request targets, its signatures, the meaning of its
// errors. site.ts, qiniu.ts and s3.ts make such rules; http-origin.ts and probe.ts follow them.
import { createHash } from "node:crypto";
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import { type Home, type Hop, homeHop } from "../exchange/hop.ts";
import { type OwnHeaders, type RequestHead, withHeaders } from "../exchange/request-head.ts";
import type { ErrorMeaning, RawHeaders } from "../exchange/response-head.ts";
import type { OriginPreview, OriginTarget, PreviewRequest } from "../origin.ts";

/** The rules of one kind of origin. */
export interface HttpOriginRules {
  readonly id: string;
  readonly home: Home;
  /** Headers for the home only; a redirect to another host never gets them. */
  readonly head: OwnHeaders;
  /** Path and query of an object, percent-encoded; made once a fetch. The query is secret: never logged nor stored. */
  target(object: Pick<OriginTarget, "path" | "query">): string;
  /** Further headers for a request to the home, made for each hop and retry. They may contain a signature. */
  sign?(method: "GET" | "HEAD", url: string): Promise<Readonly<Record<string, string>>>;
  /** Refuses every redirect; if absent, redirects are followed. Throws origin_redirect. */
  refuseRedirect?(url: string, headers: RawHeaders): never;
  /** True: the query of a target is a credential, so a redirect that may repeat it is never sent to a client. */
  readonly isQuerySecret?: boolean;
  /**
   * Reads the beginning of the body of a 4xx; `body` is undefined if it was truncated. If this method is absent, 404
   * and 410 mean absent. A HEAD has no body, so its 404 is requested again with GET.
   */
  readError?(status: number, body: string | undefined): ErrorMeaning;
  /** Digests that this kind of origin declares in its own way. Undefined: none. */
  digests?(headers: RawHeaders): DeclaredDigests | undefined;
}

/**
 * Adds the signature of a request to its headers (alternating names and values). A separate step, because signing takes
 * time and a signature ages.
 */
export async function signHeaders(
  { sign }: HttpOriginRules,
  headers: string[],
  method: "GET" | "HEAD",
  hop: Hop,
): Promise<string[]> {
  if (!hop.isHome || sign === undefined) return headers;
  return withHeaders(headers, await sign(method, hop.origin + hop.target));
}

/**
 * An id derived from all that decides an origin's responses. Hashed, because it may contain credentials, and ids appear
 * in logs and metrics.
 */
export function hashedId(type: string, facts: readonly unknown[]): string {
  return `${type}:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16)}`;
}

/** Replaces a hidden value. */
export const HIDDEN = "***";

// Every other header may be configured, and its value may be a credential.
const OPEN_HEADERS =
  /^(accept|accept-encoding|cdn-loop|host|if-modified-since|if-none-match|referer|user-agent|via|x-amz-(content-sha256|date))$/;

/**
 * Shows the request that an origin would get, with possible credentials replaced by ***. It sends nothing. Throws
 * origin_loop.
 */
export async function previewRequest(
  rules: HttpOriginRules,
  head: RequestHead,
  request: PreviewRequest,
): Promise<OriginPreview> {
  const hop = homeHop(rules.home, rules.target(request));
  const flat = await signHeaders(rules, head(request, hop.isHome, request.headers), request.method, hop);
  const headers: (readonly [string, string])[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const [name = "", value = ""] = flat.slice(index, index + 2);
    headers.push([name, OPEN_HEADERS.test(name.toLowerCase()) ? value : HIDDEN]);
  }
  const target = rules.isQuerySecret === true ? withoutSignature(hop.target) : hop.target;
  return { method: request.method, url: hop.origin + target, headers };
}

/** Hides the token that a private bucket appends to a query. */
function withoutSignature(target: string): string {
  return target.replace(/([?&]token=)[^&]*$/, `$1${HIDDEN}`);
}
