// The words of the console in the language of the reader. Texts are looked up when they are shown, so that a change of
// the language redraws the page.
import { signal } from "@preact/signals";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Language = "en" | "zh";
export type TextName = keyof typeof en;

const TEXTS: Readonly<Record<Language, Readonly<Record<TextName, string>>>> = { en, zh };

/** The server has chosen it by Accept-Language or by the cookie. */
export const language = signal<Language>(document.documentElement.lang.startsWith("zh") ? "zh" : "en");

/** A text; `{name}` in it stands for a value. */
export function t(name: TextName, values: Values = {}): string {
  return fill(TEXTS[language.value][name], values);
}

type Values = Readonly<Record<string, string | number>>;

export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? ""));
}

/** The tag for Intl. */
export function locale(): string {
  return language.value === "zh" ? "zh-CN" : "en";
}
