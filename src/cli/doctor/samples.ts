// Reads the sample images of the command line, or finds one on the home page.
import { HuiyuanError } from "../../core/errors.ts";
import { isKey, type Key, toKey } from "../../core/object.ts";
import type { Probe } from "../../origin/kinds/probe.ts";
import { pictureOn } from "../trial/find-picture.ts";

/** `gbk`: the path is not UTF-8, so no key can have it. */
export type Sample =
  | { readonly kind: "key"; readonly name: string; readonly path: Key; readonly query: string }
  | { readonly kind: "gbk"; readonly name: string; readonly rawPath: string };

/**
 * `text`: a path below the origin, escaped or not, or a whole URL below it. Throws request_invalid for other URLs and
 * for invalid paths.
 */
export function readSample(text: string, originUrl: string): Sample {
  const below = pathBelow(text, originUrl);
  const at = below.indexOf("?");
  const raw = at === -1 ? below : below.slice(0, at);
  const query = at === -1 ? "" : encodeURI(below.slice(at + 1)).replaceAll("%25", "%");
  const name = `/${below}`;
  try {
    return { kind: "key", name, path: toKey(decodeURIComponent(raw)), query };
  } catch (error) {
    if (error instanceof HuiyuanError) throw invalid(text, "it is not the path of an image");
    // A % without two hex digits is a literal %. Bytes that are not UTF-8 are probably GBK.
    if (!/^(?:[^%]|%[0-9a-f]{2})*$/i.test(raw)) {
      if (!isKey(raw)) throw invalid(text, "it is not the path of an image");
      return { kind: "key", name, path: raw, query };
    }
    return { kind: "gbk", name, rawPath: `/${encodeURI(raw).replaceAll("%25", "%")}` };
  }
}

function pathBelow(text: string, originUrl: string): string {
  if (!/^https?:\/\//i.test(text)) return text.replace(/^\//, "");
  const base = `${originUrl}/`;
  if (!text.toLowerCase().startsWith(base.toLowerCase())) throw invalid(text, `it is not below ${base}`);
  return (text.slice(base.length).split("#", 1)[0] ?? "").trim();
}

function invalid(text: string, why: string): HuiyuanError {
  return new HuiyuanError("request_invalid", `Cannot use ${JSON.stringify(text.slice(0, 80))} as a sample: ${why}`);
}

/** An image of the home page; undefined if the page has none or fails. */
export async function findSample(probe: Probe, originUrl: string): Promise<Sample | undefined> {
  const target = probe.rawTarget("/");
  // The Accept of a browser, because some sites answer no others.
  const { status, beginning, hops } = await probe.ask({ method: "GET", target, headers: { accept: "text/html,*/*" } });
  if (status !== 200) return undefined;
  const path = pictureOn(beginning.toString("utf8"), hops.at(-1)?.url ?? `${originUrl}/`, originUrl);
  return path === undefined ? undefined : { kind: "key", name: `/${path}`, path, query: "" };
}

/** The request target of a sample. */
export function targetOf(sample: Sample, probe: Probe): string {
  return sample.kind === "key" ? probe.target(sample.path, sample.query) : probe.rawTarget(sample.rawPath);
}
