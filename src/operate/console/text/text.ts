// The words of the console in the language of the reader. Texts are looked up when they are shown, so that a change of
// the language redraws the page.
import { signal } from "@preact/signals";
import { COMMON } from "./words.ts";

export type Language = "en" | "zh";
/** A text in both languages; `{name}` in it stands for a value. */
export type Text = readonly [en: string, zh: string];
type Values = Readonly<Record<string, string | number>>;

/** At the start it is that of the document, which the server has chosen by Accept-Language or by the cookie. */
export const language = signal<Language>("en");

/** Makes the `t` of a feature: it shows the feature's own texts and the common ones, by name. */
export function textsOf<Name extends string>(own: Readonly<Record<Name, Text>>) {
  const all = { ...COMMON, ...own };
  const show = (name: Name | keyof typeof COMMON, values: Values = {}): string => shown(all[name], values);
  return Object.assign(show, { own });
}

/** The `t` of the frame and of parts: it shows the common texts. */
export const t = textsOf<never>({});
export type TextName = Parameters<typeof t>[0];

export function shown([en, zh]: Text, values: Values): string {
  return fill(language.value === "zh" ? zh : en, values);
}

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? ""));
}

/** The tag for Intl. */
export function locale(): string {
  return language.value === "zh" ? "zh-CN" : "en";
}
