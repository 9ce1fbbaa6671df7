// The input and the result of a test of an origin. The checks are in examination.ts; service.ts runs them.
import type { InputOf } from "../admin/contract/contract.ts";
import type { examineOrigin } from "./contract.ts";
import type { Notes } from "./finding.ts";

/** A web site that is to be configured as an origin. Empty: the Host of the URL, and no Referer. */
export interface SiteToExamine
  extends Pick<InputOf<typeof examineOrigin>, "host" | "referer" | "headers" | "allowPrivate"> {
  /** http or https, without a final slash. */
  readonly url: string;
}

/** An origin as the settings have it, with its keys. */
export interface EntryToExamine {
  readonly entry: Readonly<Record<string, unknown>>;
}

export interface ExaminationLimits {
  /** After this time the rest is not checked. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface Examined {
  /** The origin's name, without credentials. */
  readonly name: string;
  /** The proposed settings in YAML; undefined: the origin was not reached. */
  readonly proposal: string | undefined;
}

/** Findings are told while the checks run. Throws the reason of the signal. */
export type Examination = (limits: ExaminationLimits, notes: Pick<Notes, "say" | "doing">) => Promise<Examined>;

/**
 * `samples`: paths below the site, or URLs; if empty, the home page is searched for an image. Throws request_invalid
 * and settings_invalid, and sends nothing before the result is called.
 */
export type ExamineSite = (site: SiteToExamine | EntryToExamine, samples: readonly string[]) => Examination;
