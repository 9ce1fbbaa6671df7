// Checks URLs and extra headers of origins, rules between the keys of one origin, and between an origin and this
// server. Pure; it resolves no names.
import { isForbiddenPort } from "../../core/addresses.ts";
import { S3_PRESET_NAMES, type S3PresetName, s3PlaceFault } from "../../core/s3-place.ts";
import { type Both, both, say } from "../fault-words.ts";
import type { PathFault } from "../faults.ts";
import { isLoopbackHost, isNeverDialled, isPrivateHost, normalizeHost } from "../hosts.ts";
import { child, faultAt, type PathNode, text } from "./path-nodes.ts";

/** The addresses of this server. */
export interface OwnAddresses {
  /** Every host of the settings, except `*`. */
  readonly served: ReadonlySet<string>;
  readonly baseDomain: string | undefined;
  /** Literal address of the download port. */
  readonly host: unknown;
  /** The download port and the admin port. */
  readonly ports: readonly unknown[];
}

/** The key of the URL, by type of origin. */
const URL_KEYS: Readonly<Record<string, string>> = { site: "url", qiniu: "domain", s3: "endpoint" };

export function* originFaults(origin: PathNode, own: OwnAddresses): Generator<PathFault> {
  yield* storeFaults(origin, own);
  yield* headerFaults(child(origin, "headers"));
  yield* credentialFaults(origin);
}

/** Faults in the address and credentials of a store. */
export function storeFaults(store: PathNode, own: OwnAddresses): readonly PathFault[] {
  return [...addressFaults(store, own), ...endpointFaults(store)];
}

function addressFaults(origin: PathNode, own: OwnAddresses): readonly PathFault[] {
  const key = URL_KEYS[text(origin, "type") ?? ""] ?? "";
  const url = text(origin, key);
  if (url === undefined || originUrlFault(url) !== undefined) return [];
  const message = ownHostFault(url, own) ?? addressFault(url, origin.value.allowPrivate === true);
  return message === undefined ? [] : [faultAt(origin, key, message)];
}

/**
 * Refuses a URL of this server itself, which would loop; undefined for other URLs. A loopback name counts at this
 * server's own ports only, because other services may use the same name. `url` has passed originUrlFault().
 */
export function ownHostFault(url: string, own: OwnAddresses): Both | undefined {
  const { hostname, port: written, protocol } = new URL(url);
  const host = normalizeHost(hostname);
  if (host === undefined) return undefined;
  const port = Number(written || (protocol === "https:" ? 443 : 80));
  const isOwnPort = own.ports.includes(port);
  const isLoopback = isLoopbackHost(host);
  const { baseDomain } = own;
  const isBelowBase = baseDomain !== undefined && (host === baseDomain || host.endsWith(`.${baseDomain}`));
  const isServed = (isBelowBase || own.served.has(host)) && (!isLoopback || isOwnPort);
  const isListening = isOwnPort && (isLoopback || host === own.host || host === `[${own.host}]`);
  if (!isServed && !isListening) return undefined;
  return isListening ? say("selfPort", { host, port }) : say("selfHost", { host });
}

/** Faults in a mapping of request headers. */
export function* headerFaults({ path, value }: PathNode): Generator<PathFault> {
  const names = Object.keys(value);
  const seen = new Set<string>();
  if (names.length > MAX_ORIGIN_HEADERS)
    yield { path, message: say("manyHeaders", { count: names.length, max: MAX_ORIGIN_HEADERS }) };
  for (const name of names) {
    const isRepeated = seen.has(name.toLowerCase());
    const message = headerNameFault(name) ?? (isRepeated ? say("headerAgain") : undefined);
    if (message !== undefined) yield { path: [...path, name], at: "key", message };
    seen.add(name.toLowerCase());
  }
}

function credentialFaults(origin: PathNode): readonly PathFault[] {
  const { value } = origin;
  const missing = (key: string, other: string, state: Both) =>
    faultAt(origin, key, say("missingBecause", { key: other, state }));
  if (value.type === "qiniu") {
    const keys = ["accessKey", "secretKey"].filter((key) => value[key] === undefined);
    return value.private === true ? keys.map((key) => missing(key, "private", both("true", "为 true"))) : [];
  }
  if (value.type === "s3") {
    const [has, lacks] =
      value.accessKeyId === undefined ? ["secretAccessKey", "accessKeyId"] : ["accessKeyId", "secretAccessKey"];
    return value[has] !== undefined && value[lacks] === undefined ? [missing(lacks, has, both("given", "已填写"))] : [];
  }
  const headers = Object.keys(child(origin, "headers").value);
  if (value.basicAuth === undefined || !headers.some((name) => name.toLowerCase() === "authorization")) return [];
  return [faultAt(origin, "basicAuth", say("twoAuthorizations"))];
}

/** Presets without an endpoint for a region. */
const NEED_ENDPOINT: readonly unknown[] = [undefined, "minio", "ceph"];
/** Presets that work without a region. */
const NEED_NO_REGION: readonly unknown[] = ["aws", "upyun"];

function endpointFaults(origin: PathNode): readonly PathFault[] {
  const { type, preset, endpoint, region, bucket, pathStyle } = origin.value;
  if (type !== "s3" || typeof bucket !== "string" || !isPreset(preset)) return [];
  if (endpoint === "" && NEED_ENDPOINT.includes(preset)) {
    const found = preset === undefined ? say("noEndpoint") : say("presetNoEndpoint", { preset });
    return [faultAt(origin, "endpoint", found)];
  }
  if (endpoint === "" && region === "" && !NEED_NO_REGION.includes(preset))
    return [faultAt(origin, "region", say("noRegion", { preset: String(preset) }))];
  if (typeof endpoint !== "string" || typeof region !== "string") return [];
  if (endpoint !== "" && originUrlFault(endpoint) !== undefined) return [];
  const isInPath = typeof pathStyle === "boolean" ? pathStyle : undefined;
  const fault = s3PlaceFault({ preset, endpoint, region, bucket, pathStyle: isInPath });
  return fault === undefined ? [] : [faultAt(origin, "bucket", both(fault.message, fault.zh))];
}

function isPreset(value: unknown): value is S3PresetName | undefined {
  return value === undefined || S3_PRESET_NAMES.some((name) => name === value);
}

/** True if clients cannot use the origin's URL: it is private, or needs credentials or its own Host. */
export function isHiddenOrigin(origin: PathNode): boolean {
  const { value } = origin;
  if (value.allowPrivate === true || value.private === true || value.type === "s3") return true;
  if (value.basicAuth !== undefined || (typeof value.host === "string" && value.host !== "")) return true;
  const url = text(origin, URL_KEYS[text(origin, "type") ?? ""] ?? "");
  return url !== undefined && URL.canParse(url) && isPrivateHost(new URL(url).hostname);
}

/** Fault of an origin's base URL, or undefined. It never repeats the text, which may hold a password. */
export function originUrlFault(text: string): Both | undefined {
  if (!/^https?:\/\/[^/]/i.test(text)) return say("notHttp");
  if (/[\s\\]/.test(text)) return say("urlSpace");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return say("urlInvalid");
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/]*@/.test(text)) return say("urlUser");
  if (text.includes("?")) return say("urlQuery");
  if (text.includes("#")) return say("urlFragment");
  if (url.port !== "" && isForbiddenPort(Number(url.port))) return say("urlPort", { port: url.port });
  return undefined;
}

/** Fault of a callback's URL, or undefined. As for an origin, but a query is allowed. */
export function callbackUrlFault(text: string): Both | undefined {
  const [base = "", ...query] = text.split("?");
  if (/[\s\\]/.test(query.join("?"))) return say("urlSpace");
  if (text.includes("#")) return say("callbackFragment");
  if (/^[^/]*\/\/[^/]*@/.test(base)) return say("callbackUser");
  return originUrlFault(base);
}

/** Fault of a literal address for an origin or a callback, or undefined. `text` has passed originUrlFault(). */
export function addressFault(text: string, allowPrivate: boolean): Both | undefined {
  const { hostname } = new URL(text);
  if (isNeverDialled(hostname)) return say("reserved", { host: hostname });
  if (allowPrivate || !isPrivateHost(hostname)) return undefined;
  return say("private", { host: hostname });
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Largest number of extra headers of an origin. */
export const MAX_ORIGIN_HEADERS = 10;

// Hop-by-hop headers (RFC 9110 §7.6.1), framing, and headers that could select a part or an encoding of the object.
const RESERVED: ReadonlySet<string> = new Set(
  (
    "accept-encoding cdn-loop connection content-length expect keep-alive proxy-authenticate " +
    "proxy-authentication-info proxy-authorization proxy-connection range te trailer transfer-encoding upgrade via"
  ).split(" "),
);

/** Fault of the name of an extra request header, or undefined. */
function headerNameFault(name: string): Both | undefined {
  if (!HEADER_NAME.test(name)) return say("headerName");
  const lower = name.toLowerCase();
  if (lower === "host" || lower === "referer") return say("headerHasKey", { key: lower });
  if (RESERVED.has(lower) || lower.startsWith("if-")) return say("headerReserved");
  return undefined;
}

// Never passed, because the answer is stored for all clients: headers of negotiation, credentials, and headers that
// make some servers answer for another URL. Signed headers of clouds are set by this program only.
const NEVER_PASSED =
  /^(accept(-.*)?|authorization|cookie2?|content-.*|date|host|if-.*|proxy-.*|want-.*|x-(original|rewrite)-url|x-http-method.*|x-(amz|oss|cos|obs|qiniu)-.*)$/;

/** Fault of passing this client header to an origin, or undefined. */
export function passedHeaderFault(name: string): Both | undefined {
  if (!HEADER_NAME.test(name)) return say("headerName");
  const lower = name.toLowerCase();
  return RESERVED.has(lower) || NEVER_PASSED.test(lower) ? say("headerNeverPassed") : undefined;
}

/** True for a valid header value: printable ASCII, with inner blanks only. */
export function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text);
}
