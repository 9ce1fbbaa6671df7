// The words of the console in the language of the reader. Texts are looked up when they are shown, so that a change of
// the language redraws the page.
import { signal } from "@preact/signals";
import { fill, type Language, type Text, textsIn, type Values } from "./texts-in.ts";

/** At the start it is that of the document, which the server has chosen by Accept-Language or by the cookie. */
export const language = signal<Language>("en");

/** Makes the `t` of a feature: it shows the feature's own texts and the common ones, by name. */
export function textsOf<Name extends string>(own: Readonly<Record<Name, Text>>) {
  return textsIn(() => language.value, own);
}

/** The `t` of the frame and of parts: it shows the common texts. */
export const t = textsOf<never>({});
export type TextName = Parameters<typeof t>[0];

export function shown([en, zh]: Text, values: Values): string {
  return fill(language.value === "zh" ? zh : en, values);
}

/** The tag for Intl. */
export function locale(): string {
  return language.value === "zh" ? "zh-CN" : "en";
}
