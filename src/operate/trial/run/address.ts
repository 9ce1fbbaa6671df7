// Reads the field of the trial's page: the address of a site, or of one of its pictures.
import type { Key } from "../../../core/object.ts";
import { IMAGE_PATH } from "../../doctor/find-pictures.ts";
import { readSample } from "../../doctor/samples.ts";
import type { Fault } from "../words.ts";

export type Address = { readonly url: string; readonly picture: Key | undefined } | { readonly fault: Fault };

/** `siteUrl`: the present site, to which a path belongs, and pictures below its URL. */
export function readAddress(typed: string, siteUrl: string): Address {
  const text = typed.trim();
  if (text === "") return { fault: (t) => t("noAddress") };
  if (text.startsWith("/")) return pictureOf(text, siteUrl);
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${isLocal(text) ? "http" : "https"}://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  const isSite = url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
  if (!isSite) return { fault: (t) => t("badAddress", { text }) };
  if (IMAGE_PATH.test(url.pathname))
    return pictureOf(url.href, url.href.startsWith(`${siteUrl}/`) ? siteUrl : url.origin);
  // Without a file such as index.html.
  return { url: url.origin + url.pathname.replace(/\/[^/]*\.[^/]*$/, "").replace(/\/+$/, ""), picture: undefined };
}

const isLocal = (text: string) => /^(localhost|127\.|\[::1\])/i.test(text);

function pictureOf(text: string, url: string): Address {
  try {
    const sample = readSample(text, url);
    if (sample.query === "") return { url, picture: sample.path };
  } catch {} // It is no path of a picture.
  return { fault: (t) => t("badPicture", { text }) };
}
