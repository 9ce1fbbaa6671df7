// Reads the sample images of the command line, or finds one on the home page. Fetches each as the mirror does, checks
// if it is a whole image, and reports peculiarities of the answers.
import { HuiyuanError } from "../../core/errors.ts";
import { type Key, MEDIA_TYPES, toKey } from "../../core/object.ts";
import type { Probe, ProbeReply } from "../../serve/origin/kinds/probe.ts";
import { formatBytes } from "../cli/terminal.ts";
import { PAGE_HEADERS, picturesOn } from "./find-pictures.ts";
import { failed, finding, formatMs, meaningOf, type Notes, originFailure, type Verdict } from "./finding.ts";

export interface Sample {
  readonly name: string;
  readonly path: Key;
  readonly query: string;
}

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
  const isEscaped = /^(?:[^%]|%[0-9a-f]{2})*$/i.test(raw);
  try {
    // A % without two hex digits is a literal %.
    return { name, path: toKey(isEscaped ? decodeURIComponent(raw) : raw), query };
  } catch (error) {
    if (error instanceof HuiyuanError) throw invalid(text, "it is not the path of an image");
    throw invalid(text, `it is not UTF-8, but probably GBK. ${UTF8_MEANS}`);
  }
}

export const UTF8_MEANS =
  "Keys are UTF-8, and other URLs get 400. Rename the files at the origin, or make it accept UTF-8 names (nginx: store them so; IIS and Apache: by module).";

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
  const { status, beginning, hops } = await probe.ask({ method: "GET", target, headers: PAGE_HEADERS });
  if (status !== 200) return undefined;
  const [path] = picturesOn(beginning.toString("utf8"), hops.at(-1)?.url ?? `${originUrl}/`, originUrl, 1);
  return path === undefined ? undefined : { name: `/${path}`, path, query: "" };
}

/** A sample that is a whole image. */
export interface Fetched {
  readonly sample: Sample;
  readonly target: string;
  readonly reply: ProbeReply;
}

const SLOW_HEAD_MS = 3_000;
const LONG_FIRST_BYTE_MS = 30_000;

/** Returns the samples that are whole images, in order. */
export async function checkSamples(
  probe: Probe,
  samples: readonly Sample[],
  notes: Notes,
): Promise<readonly Fetched[]> {
  const whole: Fetched[] = [];
  for (const sample of samples) {
    const target = probe.target(sample.path, sample.query);
    try {
      const reply = await probe.ask({ method: "GET", target });
      notes.say("image", assessSample(sample, reply));
      if (reply.verdict === "whole") whole.push({ sample, target, reply });
    } catch (error) {
      notes.say("image", failed(originFailure(error, notes)));
    }
  }
  const replies = whole.map(({ reply }) => reply);
  if (replies.length > 0)
    for (const [id, summarize] of Object.entries(SUMMARIES)) notes.say(id, summarize(replies, notes));
  return whole;
}

function assessSample({ name }: Sample, reply: ProbeReply): Verdict {
  const { status, verdict, bytes, image, headMs, bodyMs } = reply;
  const times = `head in ${formatMs(headMs)}, body in ${formatMs(bodyMs)}`;
  if (verdict === "whole") {
    const sides = image?.width === undefined ? "" : ` of ${image.width} × ${image.height}`;
    return finding.good(`${name}: a whole ${image?.format ?? "image"}${sides}, ${formatBytes(bytes)}; ${times}`);
  }
  const make = verdict === "suspect" || verdict === "absent" ? finding.warning : finding.problem;
  return make(`${name}: ${status}, ${verdict}; ${times}`, meaningOf(verdict, status), verdict);
}

type Summarize = (replies: readonly ProbeReply[], notes: Notes) => Verdict | undefined;

export const headerOf = ({ headers }: ProbeReply, name: string) => {
  const value = headers[name];
  return typeof value === "object" ? value.join(", ") : value;
};

/** By the ids of the findings. */
const SUMMARIES: Readonly<Record<string, Summarize>> = {
  framing(replies) {
    const framings = [...new Set(replies.map(({ framing }) => framing))];
    const found = `bodies are delimited by ${framings.join(" and ")}`;
    if (!framings.includes("close")) return finding.good(found);
    const means =
      "If the connection ends a body, only the structure of the image shows whether the body is whole. A Content-Length proves more.";
    return finding.warning(found, means);
  },
  types(replies) {
    const wrong = replies.flatMap((reply) => {
      const declared = headerOf(reply, "content-type")?.split(";", 1)[0]?.trim().toLowerCase();
      const right = reply.image === undefined ? undefined : MEDIA_TYPES[reply.image.format];
      const isSame = declared === right || (declared === "image/jpg" && right === "image/jpeg");
      return right === undefined || isSame ? [] : [`${declared ?? "nothing"} for ${right}`];
    });
    if (wrong.length === 0) return undefined;
    const means = "Nothing to do: the mirror detects the type from the bytes, and sends the right one.";
    return finding.note(`wrong Content-Type: ${[...new Set(wrong)].join(", ")}`, means);
  },
  redirects(replies) {
    const moved = replies.find(({ hops }) => hops.length > 1);
    if (moved === undefined) return undefined;
    const means =
      "At most five redirects are followed, never from https to http. Set the last URL as the origin to save a round trip each fetch.";
    return finding.note(`redirects: ${moved.hops.map(({ url, status }) => `${url} (${status})`).join(" → ")}`, means);
  },
  cookies(replies) {
    if (!replies.some((reply) => headerOf(reply, "set-cookie") !== undefined)) return undefined;
    const means = "The image is stored without the cookie. Do not mirror images that differ by cookie.";
    return finding.warning("images come with Set-Cookie", means);
  },
  vary(replies) {
    const names = replies.flatMap((reply) => (headerOf(reply, "vary") ?? "").toLowerCase().split(/[\s,]+/));
    const odd = [...new Set(names)].filter((name) => !["", "accept-encoding", "origin"].includes(name));
    if (odd.length === 0) return undefined;
    const means = "The answer to `Accept: */*` without cookies is stored for all clients. Other variants are lost.";
    return finding.warning(`Vary: ${odd.join(", ")}`, means);
  },
  life(replies) {
    const values = [...new Set(replies.map((reply) => headerOf(reply, "cache-control")).filter((value) => value))];
    if (values.length === 0) return undefined;
    const means =
      "Ignored unless freshness.mode is `origin`: stored images never expire. Images that change under the same name need freshness (docs/guides/freshness.md).";
    return finding.note(`Cache-Control: ${values.join(" | ").slice(0, 200)}`, means);
  },
  validators(replies) {
    const has = (name: string) => replies.every((reply) => headerOf(reply, name) !== undefined);
    const there = ["etag", "last-modified", "content-md5", "digest", "repr-digest"].filter(has);
    const found = `validators and digests: ${there.join(", ") || "none"}`;
    if (has("etag") || has("last-modified")) return finding.good(found);
    return finding.note(found, "Without ETag and Last-Modified, each revalidation transfers the whole image.");
  },
  speed(replies, { hints }) {
    const heads = replies.map(({ headMs }) => headMs).toSorted((a, b) => a - b);
    const slowest = heads.at(-1) ?? 0;
    const large = replies.filter(({ bytes, bodyMs }) => bytes > 50_000 && bodyMs > 0);
    const rate = Math.max(0, ...large.map(({ bytes, bodyMs }) => (bytes * 1_000) / bodyMs));
    const median = heads[Math.floor(heads.length / 2)] ?? slowest;
    const found = `heads in ${formatMs(median)} (median), ${formatMs(slowest)} at most${rate > 0 ? `; ${formatBytes(rate)}/s` : ""}`;
    if (slowest < SLOW_HEAD_MS) return finding.good(found);
    hints.firstByte = LONG_FIRST_BYTE_MS;
    return finding.warning(found, "Fetches fail after timeouts.firstByte (10s): the proposal allows more.");
  },
};
