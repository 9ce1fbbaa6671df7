// Shows the request that an origin would get, with possible credentials replaced by ***. It sends nothing.
import { homeHop, hopOrigin } from "../exchange/hop.ts";
import type { OriginPreview, PreviewRequest } from "../origin.ts";
import type { HttpOriginRules, RequestMaker } from "./http-rules.ts";

/** Replaces a hidden value. */
export const HIDDEN = "***";

// Every other header may be configured, and its value may be a credential.
const OPEN_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "cdn-loop",
  "host",
  "if-modified-since",
  "if-none-match",
  "referer",
  "user-agent",
  "via",
  "x-amz-content-sha256",
  "x-amz-date",
]);

/** Throws origin_loop. */
export async function previewRequest(
  rules: HttpOriginRules,
  maker: RequestMaker,
  request: PreviewRequest,
): Promise<OriginPreview> {
  const hop = homeHop(rules.home, rules.target(request));
  const flat = await maker.signed(maker.head(request, hop), request.method, hop);
  const headers: (readonly [string, string])[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    const [name = "", value = ""] = flat.slice(index, index + 2);
    headers.push([name, OPEN_HEADERS.has(name.toLowerCase()) ? value : HIDDEN]);
  }
  const target = rules.isQuerySecret === true ? withoutSignature(hop.target) : hop.target;
  return { method: request.method, url: hopOrigin(hop) + target, headers };
}

/** Hides the token that a private bucket appends to a query. */
function withoutSignature(target: string): string {
  return target.replace(/([?&]token=)[^&]*$/, `$1${HIDDEN}`);
}
