// Measured answers and calls that the page of `huiyuan try` and its work in run/ share.
import type { Language } from "../admin/console.ts";
import type { Form, TrialTexts } from "./texts.ts";

/** One measured answer. */
export interface Measured {
  readonly status: number;
  /** False if the connection broke before the end of the body. */
  readonly isWhole: boolean;
  readonly bytes: number;
  /** Until the last byte. */
  readonly milliseconds: number;
}

export function isImage<Answer extends Measured>(measured: Answer | undefined): measured is Answer {
  return measured?.status === 200 && measured.isWhole;
}

export function medianMsOf(answers: readonly Measured[]): number {
  const sorted = answers.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The answers of the mirror to requests for one form. */
export interface MeasuredForm {
  /** The first one, whose image the mirror had to fetch or to make. */
  readonly first?: Measured | undefined;
  /** The last one after it, with the median time of the last few. */
  readonly again?: Measured | undefined;
}

export interface TrialPicture {
  readonly key: string;
  readonly title: Readonly<Record<Language, string>>;
  /** Absolute URL at the mirror. */
  readonly urlOf: (form: Form) => string;
  /** The last answer of the origin itself, with the median time of the last few. */
  readonly direct: Measured | undefined;
  readonly forms: Readonly<Partial<Record<Form, MeasuredForm>>>;
}

export interface TrialView {
  readonly siteUrl: string;
  /** Why the site did not answer, and what to do. */
  readonly trouble: string | undefined;
  readonly pictures: readonly TrialPicture[];
  /** The switch of the sample site, which waits before each answer; undefined for other sites. */
  readonly origin: { readonly isStopped: boolean; readonly requests: number; readonly delayMs: number } | undefined;
  /** There is a sample site to go back to. */
  readonly hasSample: boolean;
}

/** Why an input was refused, in the language of the page. */
export type Fault = (texts: TrialTexts) => string;

export interface Trial {
  /** With a new measurement of each stored picture. */
  view(): Promise<TrialView>;
  /** Path on the admin port of an image that the mirror has served; undefined: it served none. */
  picture(key: string, form: string): Promise<string | undefined>;
  /** The picture as the origin sends it; undefined: it sent none. */
  original(key: string): Promise<{ readonly mediaType: string; readonly bytes: Buffer } | undefined>;
  /** Stops the sample site once the mirror has all pictures. */
  stop(): Promise<Fault | undefined>;
  resume(): void;
  /** The number of pictures that a running stop has found stored. */
  progress(): { readonly stored: number; readonly total: number };
  /** Mirrors the named site from now on. Empty text: the sample site. Yields the key of the picture that it named. */
  use(text: string): Promise<{ readonly fault: Fault } | { readonly picture: string | undefined }>;
}
