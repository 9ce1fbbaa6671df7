// What the download server knows of one domain: a snapshot made from the settings, replaced as a whole on a reload.

import type { Key } from "../../core/object.ts";
import type { NamedRecipe } from "../../image/grammar/named-recipe.ts";
import type { Era } from "../../image/grammar/recipe.ts";
import type { Mirror } from "../../mirror/mirror.ts";
import type { RuleOptions } from "../../mirror/rules.ts";
import type { Stored } from "../../mirror/stored/stored.ts";
import type { Variants } from "../../mirror/variants/variants.ts";
import type { CacheControl, TokenScope } from "../response/cache-control.ts";
import type { CorsRules } from "../response/cors.ts";
import type { RefererRules } from "./referer.ts";

/** What a download's token allows. `spend` is there for a token that works once: true exactly once, durably. */
export interface Admission {
  readonly scope: TokenScope;
  readonly spend: (() => Promise<boolean>) | undefined;
  /** Whether `spend` would say no; there where `spend` is. Spends nothing. */
  readonly isSpent?: () => boolean;
}

/** Who may have what. */
export interface Authorizer {
  /** Throws the sign_* codes. */
  admit(sign: string | undefined, key: Key): Admission;
  /** The file that an authentic token is bound to, empty for any; undefined for every other text. Never throws. */
  boundFile(sign: string): string | undefined;
}

/** What one rule of a domain's mirror source does; the domain's own settings are the last rule. */
export interface Route extends RuleOptions {
  /** Its place among the rules of the settings, from 0; undefined: the domain's own. */
  readonly rule: number | undefined;
  readonly mirror: Mirror;
  /** Where `async` and `redirect` send clients: a base URL without a slash at its end. */
  readonly redirect: { readonly base: string | undefined; readonly status: 301 | 302 | 307 | 308 };
  /** What is sent where the origin has no such object. */
  readonly fallback: { readonly key: Key; readonly status: 200 | 404 } | undefined;
}

/** A domain's mirror source. */
export interface MirrorSource {
  /** Whether any rule of the bucket makes queries a part of keys; where none does the key of a URL is its path. */
  readonly keysHaveQueries: boolean;
  /** Whether any rule lets stored objects age; where none does the rules need not be asked for what is stored. */
  readonly ages: boolean;
  /** The rule that a request falls under. */
  route(request: { readonly path: Key; readonly method: string; readonly host: string }): Route;
  /** Whether a request for the path falls under a rule of `originals`, by some host and method. */
  processes(path: Key): boolean;
}

/** One served domain. */
export interface Site {
  /** Its host, or `*` for the one that answers every other host. */
  readonly domain: string;
  readonly stored: Stored;
  /** Undefined: this domain never goes back to an origin. */
  readonly source: MirrorSource | undefined;
  /** False: every request is refused with project_disabled. */
  readonly isProjectEnabled: boolean;
  /** Enabled separators, one character each. */
  readonly separators: readonly string[];
  /** Aliases and styles by name, under the bucket's era. */
  readonly aliases: ReadonlyMap<string, NamedRecipe>;
  /** Those of the aliases that are rendered ahead. */
  readonly styles: readonly NamedRecipe[];
  /** Which manual instructions are read by. */
  readonly era: Era;
  /** 原图保护: only aliases are served, and originals only through this door. Undefined: they are not protected. */
  readonly originalAuthorizer: Authorizer | undefined;
  readonly variants: Variants;
  readonly referers: RefererRules;
  /** Undefined: Token 防盗链 is off and a token is ignored. */
  readonly authorizer: Authorizer | undefined;
  readonly cacheControl: CacheControl;
  readonly cors: CorsRules;
  readonly notFoundPage: { readonly body: Buffer; readonly mediaType: string } | undefined;
}

/** Finds the domain of a host: lower case, no port, no trailing dot. */
export interface Sites {
  find(host: string): Site | undefined;
}
