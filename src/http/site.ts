// What the download server knows of one domain: a snapshot made from the settings, replaced as a whole on a reload.

import type { Mirror } from "../mirror/mirror.ts";
import type { Stored } from "../mirror/stored.ts";
import type { Key } from "../object.ts";
import type { CacheControl, TokenScope } from "./cache-control.ts";
import type { CorsRules } from "./cors.ts";
import type { RefererRules } from "./referer.ts";

/** What a download's token allows. `spend` is there for a token that works once: true exactly once, durably. */
export interface Admission {
  readonly scope: TokenScope;
  readonly spend: (() => Promise<boolean>) | undefined;
}

/** One served domain. */
export interface Site {
  readonly stored: Stored;
  /** Undefined: this domain never goes back to an origin. */
  readonly mirror: Mirror | undefined;
  /** False: every request is refused with project_disabled. */
  readonly isProjectEnabled: boolean;
  /** Enabled separators, one character each. */
  readonly separators: readonly string[];
  readonly aliases: ReadonlySet<string>;
  readonly referers: RefererRules;
  /** Undefined: Token 防盗链 is off and a token is ignored. Throws the sign_* codes. */
  readonly admit: ((sign: string | undefined, key: Key) => Admission) | undefined;
  readonly cacheControl: CacheControl;
  readonly cors: CorsRules;
  readonly notFoundPage: { readonly body: Buffer; readonly mediaType: string } | undefined;
}

/** Finds the domain of a host: lower case, no port, no trailing dot. */
export interface Sites {
  find(host: string): Site | undefined;
}
