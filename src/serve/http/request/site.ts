// The server's view of one domain: a snapshot of the settings, replaced as a whole by a reload.

import type { Key } from "../../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import type { Era } from "../../image/grammar/recipe.ts";
import type { RemainingLife } from "../../mirror/freshness/freshness.ts";
import type { Mirror } from "../../mirror/mirror.ts";
import type { RuleOptions } from "../../mirror/rules.ts";
import type { Stored } from "../../mirror/stored/stored.ts";
import type { Variants } from "../../mirror/variants/variants.ts";
import type { ClientLimits } from "./client-limits.ts";

/** The kind of token that a response was given for. */
export type TokenScope =
  | { readonly kind: "none" }
  /** `shared`: a CDN that checks tokens itself may store the response. */
  | { readonly kind: "signed"; readonly mode: "private" | "shared"; readonly expiresInSeconds: number }
  | { readonly kind: "reusable-one-time" }
  | { readonly kind: "one-time" };

/**
 * `filling`: the image is not proven whole, or not proven to be the stored one. `suspect`: known to be damaged.
 * `not-storable`: the origin forbids storing it. `stand-in`: served in place of an image that cannot be processed now.
 */
export type AnswerState = "stored" | "filling" | "suspect" | "not-storable" | "stand-in";

/** Returns the Cache-Control of a 2xx or 304. No lifetime in it is longer than `life`, if that is given. */
export type CacheControl = (scope: TokenScope, state: AnswerState, life?: RemainingLife) => string;

/** Allowed origins, such as `https://example.com`; `*` allows all. */
export type CorsRules = readonly string[];

/** The rights of a download's token. `spend` is set for a one-time token; it yields true exactly once, durably. */
export interface DownloadGrant {
  readonly scope: TokenScope;
  readonly spend: (() => Promise<boolean>) | undefined;
  /** Whether `spend` would yield false. Set if `spend` is; spends nothing. */
  readonly isSpent?: () => boolean;
}

/** Checks tokens. */
export interface Authorizer {
  /** Throws the sign_* codes. */
  admit(sign: string | undefined, key: Key): DownloadGrant;
  /** The file that an authentic token is bound to; empty for all files. Undefined for any other text. Never throws. */
  boundFile(sign: string): string | undefined;
}

/** One rule of a domain's mirror source, ready for use; the domain's own settings are the last rule. */
export interface Route extends RuleOptions {
  /** Its place among the rules of the settings, from 0; undefined: the domain's own. */
  readonly rule: number | undefined;
  readonly mirror: Mirror;
  /** The target of `async` and `redirect`: a base URL without a final slash. */
  readonly redirect: { readonly base: string | undefined; readonly status: 301 | 302 | 307 | 308 };
  /** The object that is served if the origin has no such image. */
  readonly fallback: { readonly key: Key; readonly status: 200 | 404 } | undefined;
}

/** A domain's mirror source. */
export interface MirrorSource {
  /** Whether any rule of the bucket makes queries part of keys. Otherwise the key of a URL is its path. */
  readonly keysHaveQueries: boolean;
  /** Whether any rule gives stored objects a lifetime. Otherwise a hit needs no evaluation of rules. */
  readonly ages: boolean;
  /** Makes its mirrors and origins, as its first request does. */
  open(): void;
  /** The rule that applies to a request. */
  route(request: { readonly path: Key; readonly method: string; readonly host: string }): Route;
  /** Whether a rule of type `originals` applies to the path for some host and method. */
  processes(path: Key): boolean;
}

export interface RefererRules {
  readonly mode: "allow" | "deny";
  /** Lower case, exact or `*.example.com`. */
  readonly domains: readonly string[];
  /** Whether a request without a Referer may pass. */
  readonly allowEmpty: boolean;
}

/** One served domain. */
export interface Site {
  /** Its host, or `*` for the domain of all other hosts. */
  readonly domain: string;
  readonly stored: Stored;
  /** Undefined: this domain never fetches from an origin. */
  readonly source: MirrorSource | undefined;
  /** False: every request is refused with project_disabled. */
  readonly isProjectEnabled: boolean;
  /** Enabled separators, one character each. */
  readonly separators: readonly string[];
  /** Aliases and styles by name, under the bucket's era. */
  readonly aliases: ReadonlyMap<string, NamedRecipe>;
  /** The aliases that are rendered ahead. */
  readonly styles: readonly NamedRecipe[];
  /** False: instructions in the query are refused (processing_refused). Aliases are served. */
  readonly acceptsInstructions: boolean;
  /** The manual that instructions follow. */
  readonly era: Era;
  /** 原图保护: only aliases are served, and originals only by this authorizer. Undefined: originals are not protected. */
  readonly originalAuthorizer: Authorizer | undefined;
  readonly variants: Variants;
  /** Undefined: 域名防盗链 is off. */
  readonly referers: RefererRules | undefined;
  /** Undefined: Token 防盗链 is off, and tokens are ignored. */
  readonly authorizer: Authorizer | undefined;
  readonly cacheControl: CacheControl;
  readonly cors: CorsRules;
  readonly notFoundPage: { readonly body: Buffer; readonly mediaType: string } | undefined;
}

/** By `<appid>/<bucket>`; the domain `*` comes last. */
export type BucketSites = ReadonlyMap<string, readonly [Site, ...Site[]]>;

export interface Sites {
  /** Finds the domain of a host: lower case, no port, no trailing dot. */
  find(host: string): Site | undefined;
  /** Undefined: no client is limited. */
  readonly clients?: ClientLimits | undefined;
}
