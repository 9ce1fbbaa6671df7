// The admin API call that shows an image to an operator: the stored original, or a processed one. A download serves it,
// on a site without tokens, Referer lists and origins. Its answers run no scripts, whatever an SVG contains.
import type { IncomingMessage } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { createSemaphore } from "../../../async/semaphore.ts";
import { type ErrorCode, HuiyuanError } from "../../../core/errors.ts";
import { type Key, toKey } from "../../../core/object.ts";
import { finishDownload } from "../../../serve/http/download/download.ts";
import {
  beginExchange,
  clientOf,
  clientSignal,
  type DownloadExchange,
  type DownloadRequest,
  NodeResponse,
} from "../../../serve/http/request/exchange.ts";
import { nameObject, type ProcessingRequest, processingOf, urlTo } from "../../../serve/http/request/object-name.ts";
import type { Site } from "../../../serve/http/request/site.ts";
import type { Calls } from "../../admin/calls.ts";
import { invalid } from "../../admin/input.ts";
import { bucketNamed, type Domains, domainNamed } from "../../admin/naming.ts";
import { showImage } from "../contract.ts";
import { warm } from "./warm.ts";

/** Images at once, so that a page of thumbnails leaves the renderer to clients. */
const PLACES = 8;
const LINE = { maxWaiting: 256, waitMs: 30_000 };

const HEADERS = {
  "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "Cross-Origin-Resource-Policy": "same-origin",
};
/** The others are the operator's own, such as its token: no rule may pass them to an origin. */
const PASSED = ["accept", "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];

export function addImageCall(calls: Calls, { registry }: { readonly registry: Domains }): void {
  const overloaded = () => new HuiyuanError("overloaded", "too many images are being shown; try again");
  const places = createSemaphore(PLACES, { ...LINE, overloaded });
  calls.add(showImage, async (context, input) => {
    const stored = bucketNamed(input.bucket, registry);
    const key = toKey(input.key);
    const { incoming, outgoing } = context.env;
    if (incoming === undefined || outgoing === undefined) throw invalid("only a running server shows images");
    const exchange = beginExchange(requestOf(incoming), new NodeResponse(outgoing), context.get("requestId"));
    const release = await places.acquire(clientOf(exchange));
    try {
      if (input.fetch) await fetchFirst({ stored, key }, registry, exchange);
      // A site without origins does not see pending writes.
      await stored.pendingWrites.find(key)?.tryNow();
      const download = downloadOf(exchange, { stored, key, instruction: input.instruction }, registry);
      for (const [name, value] of Object.entries(HEADERS)) outgoing.setHeader(name, value);
      await finishDownload(download);
    } catch (error) {
      if (!outgoing.headersSent) throw error;
      outgoing.destroy();
    } finally {
      release();
    }
    return RESPONSE_ALREADY_SENT;
  });
}

/** Throws the failure of the fetch, and not_found if its answer may not be stored. */
async function fetchFirst(
  { stored, key }: Pick<Shown, "stored" | "key">,
  domains: Domains,
  exchange: DownloadExchange,
): Promise<void> {
  const site = domainNamed(undefined, () => stored, domains);
  const { result, code, message } = await warm({ site, url: urlTo(site, key) }, clientSignal(exchange));
  if (result === "failed") throw new HuiyuanError(code as ErrorCode, message ?? result); // the code of an error
  if (result === "unmirrored" || result === "unstored")
    throw new HuiyuanError("not_found", `Cannot fetch "${key}": no rule fetches and stores it`);
}

interface Shown {
  readonly stored: Site["stored"];
  readonly key: Key;
  readonly instruction: string | undefined;
}

/** The download of an admitted client. Throws processing_invalid, request_invalid. */
function downloadOf(
  exchange: DownloadExchange,
  { stored, key, instruction }: Shown,
  { buckets, sites }: Domains,
): Parameters<typeof finishDownload>[0] {
  const [named] = buckets().get(stored.bucketId) ?? [];
  if (named === undefined) throw invalid(`there is no bucket "${stored.bucketId}"`);
  const site = operatorSite(named);
  const url = { host: "", path: key, query: encodeURIComponent(instruction ?? ""), method: "GET" } as const;
  const object = nameObject(site, url);
  const alias = named.aliases.get(instruction ?? "");
  const processing: ProcessingRequest | undefined =
    alias === undefined
      ? processingOf(site, url, object)
      : { named: alias, path: key, original: object, suffix: "", isAlias: true };
  if (instruction !== undefined && processing === undefined)
    throw invalid('"instruction" is neither an alias of the bucket nor an instruction');
  exchange.site = site;
  exchange.isByAccept = processing?.named.negotiated !== undefined;
  return {
    ...{ exchange, site, url, object, processing, headers: exchange.request.headers, role: "image" },
    sites: { find: (host) => mapped(sites.find(host)) },
    ...{ token: undefined, grant: { scope: { kind: "none" }, spend: undefined } },
    ...{ isNameFirst: false, learnt: { about: "nothing" } },
  };
}

const mapped = (site: Site | undefined) => site && operatorSite(site);

/** The site without the checks of clients, and without origins: what is not stored is absent. */
function operatorSite(site: Site): Site {
  return {
    ...site,
    ...{ source: undefined, authorizer: undefined, originalAuthorizer: undefined, acceptsInstructions: true },
    ...{ aliases: new Map(), separators: [], cors: [], referers: undefined },
    // The page shows an image that was replaced at once; an equal one is a 304.
    cacheControl: () => "private, no-cache",
  };
}

function requestOf({ method, url, httpVersion, headers, socket }: IncomingMessage): DownloadRequest {
  const passed = Object.fromEntries(PASSED.map((name) => [name, headers[name]]));
  return { method, url, httpVersion, rawHeaders: [], headers: passed, socket };
}
