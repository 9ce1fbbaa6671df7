// Decides whether a client may have an image: by its Referer (域名防盗链), by the token of its URL (Token 防盗链), and in a
// protected bucket (原图保护) by an alias. Also says which name a token is checked against, and combines the rights of two
// tokens. No I/O.
import { HuiyuanError } from "../../../core/errors.ts";
import type { Key } from "../../../core/object.ts";
import type { OnceLedger } from "../../sign/once.ts";
import type { OneTimeDownloads } from "../../sign/token.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import type { NamedObject, ProcessingRequest } from "./object-name.ts";
import type { Authorizer, DownloadGrant, RefererRules, TokenScope } from "./site.ts";

export interface AuthorizerOptions {
  readonly appid: string;
  /** The bucket's name. */
  readonly bucket: string;
  readonly acceptV1: boolean;
  readonly oneTimeDownloads: OneTimeDownloads;
  /** The bucket's `signedCacheControl`: whether shared caches may store a signed response. */
  readonly mode: "private" | "shared";
  readonly tokens: VerifiedTokens;
  readonly once: OnceLedger;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { appid, bucket, acceptV1, oneTimeDownloads, mode, tokens, once, now } = options;
  return {
    admit(sign: string | undefined, key: Key): DownloadGrant {
      if (sign === undefined) throw new HuiyuanError("sign_missing", `Cannot serve "${key}": a token is required`);
      const time = now() / 1_000;
      const seconds = Math.floor(time);
      // No spread: it costs 3 µs here, a tenth of the whole response (performance.md, "signed memory hit").
      const grant = tokens.verify(
        sign,
        { operation: "download", appid, bucket, userid: "0", acceptV1, fileid: key, oneTimeDownloads },
        seconds,
      );
      if (grant.kind === "multi-use") {
        // Rounded down, so that no cache stores the response for longer than the token is valid.
        const expiresInSeconds = Math.floor(grant.expires - time);
        return { scope: { kind: "signed", mode, expiresInSeconds }, spend: undefined };
      }
      if (grant.spend === "reuse") return { scope: { kind: "reusable-one-time" }, spend: undefined };
      const spend = onceOnly(() => once.spend(grant.token, seconds));
      return { scope: { kind: "one-time" }, spend, isSpent: () => once.isSpent(grant.token, seconds) };
    },
    boundFile: tokens.boundFile,
  };
}

export interface Admitting {
  readonly grant: DownloadGrant;
  /** True if the token is bound to the alias's original, so it does not cover an object of the URL's full name. */
  readonly isForOriginal: boolean;
}

/** Throws the sign_* codes. */
export function admitNamed(
  authorizer: Authorizer,
  sign: string | undefined,
  {
    object,
    alias,
  }: { readonly object: Pick<NamedObject, "key" | "request">; readonly alias?: ProcessingRequest | undefined },
): Admitting {
  const { path } = object.request;
  const own: readonly Key[] = [path, object.key];
  const originals: readonly Key[] = alias === undefined ? [] : [alias.path, alias.original.key];
  // Most URLs have one name, and the token is then read only once.
  const isOne = alias === undefined && object.key === path;
  const bound = isOne || sign === undefined ? undefined : authorizer.boundFile(sign);
  const name = bound === undefined ? undefined : [...own, ...originals].find((each) => each === bound);
  const isForOriginal = name !== undefined && !own.includes(name);
  return { grant: authorizer.admit(sign, name ?? path), isForOriginal };
}

/** The rights for an image made from two: the stricter scope counts for caches, and both one-time tokens are spent. */
export function admittedByBoth(one: DownloadGrant, other: DownloadGrant): DownloadGrant {
  const once = [one, other].filter(({ spend }) => spend !== undefined);
  const scope = stricter(one.scope, other.scope);
  if (once.length === 0) return { scope, spend: undefined };
  const isSpent = () => once.some((each) => each.isSpent?.() === true);
  // If one is spent already, the other must not be spent for nothing.
  const spendAll = async () => {
    if (isSpent()) return false;
    for (const { spend } of once) if ((await spend?.()) === false) return false;
    return true;
  };
  return { scope, spend: onceOnly(spendAll), isSpent };
}

/** Once a request: a response that restarts after damage was found must not spend twice. */
function onceOnly(spend: () => Promise<boolean>): () => Promise<boolean> {
  let spent: Promise<boolean> | undefined;
  return () => {
    spent ??= spend();
    return spent;
  };
}

const STRICTNESS: Readonly<Record<TokenScope["kind"], number>> = {
  none: 0,
  signed: 1,
  "reusable-one-time": 2,
  "one-time": 3,
};

function stricter(one: TokenScope, other: TokenScope): TokenScope {
  if (one.kind !== "signed" || other.kind !== "signed")
    return STRICTNESS[other.kind] > STRICTNESS[one.kind] ? other : one;
  return {
    kind: "signed",
    mode: one.mode === "shared" ? other.mode : one.mode,
    expiresInSeconds: Math.min(one.expiresInSeconds, other.expiresInSeconds),
  };
}

// Protected buckets serve only aliases. An original is served only if a signed URL asks for it by this parameter.
const FOR_ORIGINAL = "ci-process=originImage";

/** The query of a protected bucket without the request for an original; the bucket's rules never see that part. */
export function withoutOriginalRequest(query: string): string {
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

/** `listed`: the host is on an `allow` list, so no token is needed. */
export type RefererVerdict = "allowed" | "listed" | "refused";

/** Evaluates a Referer list (域名防盗链). Only the host of the Referer counts, whole and case-insensitive. */
export function refererVerdict(header: string | undefined, rules: RefererRules): RefererVerdict {
  if (header === undefined || header.trim() === "") return rules.allowEmpty ? "allowed" : "refused";
  const host = hostOfReferer(header);
  // An unreadable Referer is on no list, so `allow` refuses it and `deny` accepts it.
  const isListed = host !== undefined && rules.domains.some((domain) => covers(domain, host));
  if (rules.mode === "allow") return isListed ? "listed" : "refused";
  return isListed ? "refused" : "allowed";
}

function hostOfReferer(header: string): string | undefined {
  const text = header.trim();
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const host = new URL(text).hostname.toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function covers(domain: string, host: string): boolean {
  return domain.startsWith("*.") ? host.endsWith(domain.slice(1)) && host.length > domain.length - 1 : host === domain;
}
