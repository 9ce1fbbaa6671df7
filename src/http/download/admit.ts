// Admits a download: host, method, Referer, token, key and instruction. It performs no I/O.
import { HuiyuanError } from "../../core/errors.ts";
import { tokenFromQuery } from "../../sign/token.ts";
import { type Admitting, admitNamed, authorizerOfOriginal, queryWithoutEscape } from "../request/authorizer.ts";
import type { DownloadExchange } from "../request/exchange.ts";
import { nameObject } from "../request/object-name.ts";
import { processingOfAlias, processingOfQuery } from "../request/processing-request.ts";
import { refererVerdict } from "../request/referer.ts";
import { remember } from "../request/remember.ts";
import type { Site, Sites } from "../request/site.ts";
import { type RequestTarget, targetOf } from "../request/target.ts";
import type { DownloadContext } from "./download-context.ts";

const queryOf = remember(tokenFromQuery);
const OPEN: Admitting = { grant: { scope: { kind: "none" }, spend: undefined }, isForOriginal: false };

/** The site of a request, noted in its exchange. Throws domain_unknown and the codes of targetOf(). */
export function siteOf(
  exchange: DownloadExchange,
  sites: Sites,
): { readonly site: Site; readonly target: RequestTarget } {
  const target = targetOf(exchange.request);
  const site = sites.find(target.host);
  if (site === undefined)
    throw new HuiyuanError("domain_unknown", `Cannot serve host "${target.host}": no bucket is bound to it`);
  exchange.site = site;
  return { site, target };
}

/** Throws the 4xx codes. */
export function admit(exchange: DownloadExchange, sites: Sites): DownloadContext {
  const { request } = exchange;
  const { site, target } = siteOf(exchange, sites);
  const method = methodOf(request.method, site);
  const { key: path } = target;
  if (path === undefined) throw new HuiyuanError("path_missing", "Cannot serve: the URL names no image");
  const { sign, rest } = queryOf(target.rawQuery);
  const referer = refererVerdict(request.headers.referer, site.referers);
  const query = queryWithoutEscape(site, rest);
  const url = { host: target.host, path, query, method };
  const object = nameObject(site, url);
  const processing = processingOfQuery(site, url, object) ?? processingOfAlias(site, url);
  exchange.isByAccept = processing?.named.negotiated !== undefined;
  // After the URL was read, so that the refusal has the Vary header of the image.
  if (referer === "refused") throw new HuiyuanError("referer_refused", "Cannot serve: the Referer is not allowed");
  const asksForOriginal = query !== rest;
  const ownAuthorizer =
    site.originalAuthorizer && authorizerOfOriginal(site.originalAuthorizer, { object, processing, asksForOriginal });
  const authorizer = ownAuthorizer ?? (referer === "listed" ? undefined : site.authorizer);
  const alias = processing?.isAlias === true ? processing : undefined;
  const { grant, isForOriginal } = authorizer === undefined ? OPEN : admitNamed(authorizer, sign, { object, alias });
  // A protected bucket never serves an object as it is. A token for the original asks for the variant.
  const isNameFirst = alias !== undefined && !isForOriginal && site.originalAuthorizer === undefined;
  const token = authorizer === undefined ? undefined : { sign };
  return { exchange, sites, site, url, object, token, grant, processing, isNameFirst };
}

function methodOf(method: string | undefined, site: Site): "GET" | "HEAD" {
  if (method !== "GET" && method !== "HEAD") {
    throw new HuiyuanError("method_not_allowed", `Cannot serve ${method}: only GET, HEAD and OPTIONS are allowed`);
  }
  if (!site.isProjectEnabled) throw new HuiyuanError("project_disabled", "Cannot serve: the project is disabled");
  return method;
}
