// What one kind of origin over HTTP has of its own: where it is, how an object is asked for there, how a request is signed,
// what its errors mean. site.ts, qiniu.ts and s3.ts each make such rules; http-origin.ts and probe.ts keep to them.
import { createHash } from "node:crypto";
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import { type Home, type Hop, hopOrigin } from "../exchange/hop.ts";
import { createRequestHead, type OwnHeaders, type RequestViaHeaders, withHeaders } from "../exchange/request-head.ts";
import type { ErrorMeaning, RawHeaders } from "../exchange/response-head.ts";
import type { OriginTarget } from "../origin.ts";

/** What one kind of origin has of its own. */
export interface HttpOriginRules {
  readonly id: string;
  readonly home: Home;
  /** Headers for the home alone; a redirect's other host never gets them. */
  readonly head: OwnHeaders;
  /** The name for TLS where the home's host is a literal address. */
  readonly tlsName?: string | undefined;
  /** Path and query that ask for an object, percent-encoded; made once a fetch. A query is secret: never logged nor kept. */
  target(asked: Pick<OriginTarget, "path" | "query">): string;
  /** Further headers for a request to the home, made anew for each hop and retry. They may hold a signature. */
  sign?(method: "GET" | "HEAD", url: string): Promise<Readonly<Record<string, string>>>;
  /** Why a redirect is not followed; without it redirects are followed. Throws origin_redirect. */
  refuseRedirect?(url: string, headers: RawHeaders): never;
  /** True: the query of a target is a credential, so no redirect that may repeat it is shown to a client. */
  readonly isQuerySecret?: boolean;
  /**
   * What the body of a 4xx says (its beginning; undefined where it broke off); without it 404 and 410 are absence. A HEAD
   * has no body, so its 404 is asked again with GET.
   */
  readError?(status: number, body: string | undefined): ErrorMeaning;
  /** Digests that this kind of origin declares in ways of its own. Undefined: none. */
  digests?(headers: RawHeaders): DeclaredDigests | undefined;
}

/** Names and values in turn of what is sent for a hop, in two steps: the second takes time, and its signature ages. */
export interface RequestMaker {
  /** Throws origin_loop. */
  head(request: RequestViaHeaders & Pick<OriginTarget, "headers">, hop: Hop): string[];
  signed(headers: string[], method: "GET" | "HEAD", hop: Hop): Promise<string[]>;
}

/** Throws settings_invalid for headers that cannot be sent. */
export function createRequestMaker(
  rules: HttpOriginRules,
  server: { readonly userAgent: string; readonly serverId: string },
): RequestMaker {
  const requestHead = createRequestHead({ userAgent: server.userAgent, serverId: server.serverId, ...rules.head });
  return {
    head: (request, hop) => requestHead.headers(request, hop.isHome, request.headers),
    async signed(headers, method, hop) {
      if (!hop.isHome || rules.sign === undefined) return headers;
      return withHeaders(headers, await rules.sign(method, hopOrigin(hop) + hop.target));
    },
  };
}

/** An id for whatever decides an origin's answers. Hashed: it may hold credentials, and ids are shown in logs and metrics. */
export function hashedId(type: string, facts: readonly unknown[]): string {
  return `${type}:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16)}`;
}
