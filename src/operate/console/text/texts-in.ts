// Finds a text by its name, in either language, and fills in its values. The server does it too, for the page of a
// trial, so this file and the words know nothing of the browser.
import { COMMON } from "./words.ts";

export type Language = "en" | "zh";
/** A text in both languages; `{name}` in it stands for a value. */
export type Text = readonly [en: string, zh: string];
export type Values = Readonly<Record<string, string | number>>;

/** Makes a function that shows the feature's own texts and the common ones, by name. */
export function textsIn<Name extends string>(language: () => Language, own: Readonly<Record<Name, Text>>) {
  const show = (name: Name | keyof typeof COMMON, values: Values = {}): string => {
    // Not merged beforehand: the server calls this function for each page.
    const text: Text = name in own ? own[name as Name] : COMMON[name as keyof typeof COMMON];
    return fill(text[language() === "zh" ? 1 : 0], values);
  };
  return Object.assign(show, { own });
}

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? ""));
}
