// Words the server's judgements and failures in the reader's language. The server writes English; zh.ts and failures.ts
// have Chinese, by code.

import { failuresZh } from "../console/text/failures.ts";
import { bytes } from "../console/text/format.ts";
import { fill, language } from "../console/text/text.ts";
import { attentionZh } from "../console/text/zh.ts";
import type { Attention } from "./contract.ts";

export function attentionText({ code, message, values = {} }: Attention): string {
  const text = language.value === "zh" ? attentionZh[code] : undefined;
  if (text === undefined) return message;
  const sized = typeof values.bytes === "number" ? { bytes: bytes(values.bytes) } : {};
  return fill(text, { ...values, ...sized, message });
}

/** `text`: the server's words for the code. */
export function failureText(code: string, text: string = code): string {
  return language.value === "zh" ? (failuresZh[code] ?? text) : text;
}
