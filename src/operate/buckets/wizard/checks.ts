// Tidies and checks the wizard's addresses before any request is sent. The server checks all settings again.
import { listAt, textAt } from "../../console/tree.ts";
import { defaultDomain, placesOf } from "../page/tree.ts";
import { type Answers, hasEndpoint, isOnSite, isUploaded, usesUrl } from "./scenarios.ts";

/** `bucket`: the one that has the domain, as `<appid>/<name>`. */
export interface Slip {
  readonly words: "wrongUrl" | "wrongHost" | "domainTaken" | "originLoops";
  readonly bucket?: string;
}

export type Slips = Partial<Record<keyof Answers, Slip | undefined>>;

/** Puts a scheme before a bare host: http for IP addresses, localhost and other ports, else https. */
export function withScheme(text: string): string {
  const url = text.trim();
  if (url === "" || /^[a-z]+:\/\//i.test(url)) return url;
  const [host = ""] = url.split("/", 1);
  return `${/:\d+$|^[\d.]+$|^\[|^localhost$|\.localhost$/i.test(host) ? "http" : "https"}://${url}`;
}

/** Removes a scheme, and slashes at both ends. */
export function bareHost(text: string): string {
  return text.trim().replace(/^[a-z]*:?\/\/|\/+$/gi, "");
}

/** The faults of these answers. `tree`: the settings in force. */
export function slipsOf(tree: unknown, answers: Answers): Slips {
  const { host, uploadHost, url, endpoint } = answers;
  const isSplit = isUploaded(answers.scenario) && isOnSite(answers.scenario);
  const domains = domainsOf(tree);
  const origin = (text: string) =>
    slipOfUrl(text, new Set([...domains.keys(), host, ...(isSplit ? [uploadHost] : [])]));
  return {
    host: slipOfHost(host, domains),
    ...(isSplit && { uploadHost: slipOfHost(uploadHost, domains) }),
    ...(usesUrl(answers) && { url: origin(url) }),
    ...(hasEndpoint(answers) && { endpoint: origin(endpoint) }),
  };
}

/** Each domain, and the bucket that has it. */
function domainsOf(tree: unknown): ReadonlyMap<string, string> {
  return new Map(
    placesOf(tree).flatMap((place) => {
      const hosts = listAt(tree, [...place.path, "domains"]).map((domain) => textAt(domain, ["host"]).toLowerCase());
      return [defaultDomain(tree, place), ...hosts].map((host) => [host, `${place.appid}/${place.name}`] as const);
    }),
  );
}

function slipOfHost(host: string, domains: ReadonlyMap<string, string>): Slip | undefined {
  const bucket = domains.get(host.toLowerCase());
  if (bucket !== undefined) return { words: "domainTaken", bucket };
  return host === "" || host === "*" || isHostName(host) ? undefined : { words: "wrongHost" };
}

function isHostName(host: string): boolean {
  if (/[\s:/?#@%\\]/.test(host) || !URL.canParse(`http://${host}`)) return false;
  return /^(?!.*\.\.)[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?$/.test(new URL(`http://${host}`).hostname);
}

/** A loopback name counts at some ports only, which the server knows. */
function slipOfUrl(text: string, own: ReadonlySet<string>): Slip | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return { words: "wrongUrl" };
  const { hostname } = new URL(text);
  return own.has(hostname) && !/localhost$|^127\./.test(hostname) ? { words: "originLoops" } : undefined;
}
