// The rules of one kind of origin over HTTP: its server, its request targets, its signatures, the meaning of its
// errors. site.ts, qiniu.ts and s3.ts make such rules; http-origin.ts and probe.ts follow them.
import { createHash } from "node:crypto";
import type { DeclaredDigests } from "../../body/gate/gate.ts";
import { type Home, type Hop, hopOrigin } from "../exchange/hop.ts";
import { createRequestHead, type OwnHeaders, type RequestViaHeaders, withHeaders } from "../exchange/request-head.ts";
import type { ErrorMeaning, RawHeaders } from "../exchange/response-head.ts";
import type { OriginTarget } from "../origin.ts";

/** The rules of one kind of origin. */
export interface HttpOriginRules {
  readonly id: string;
  readonly home: Home;
  /** Headers for the home only; a redirect to another host never gets them. */
  readonly head: OwnHeaders;
  /** The name for TLS if the home's host is a literal address. */
  readonly tlsName?: string | undefined;
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
 * Builds the alternating names and values of a hop's headers. There are two steps, because signing takes time and a
 * signature ages.
 */
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

/**
 * An id derived from all that decides an origin's responses. Hashed, because it may contain credentials, and ids appear
 * in logs and metrics.
 */
export function hashedId(type: string, facts: readonly unknown[]): string {
  return `${type}:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16)}`;
}
