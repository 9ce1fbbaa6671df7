// Evaluates Referer lists (域名防盗链). Only the host of the Referer counts, whole and case-insensitive. Pure.

export interface RefererRules {
  readonly mode: "off" | "allow" | "deny";
  /** Lower case, exact or `*.example.com`. */
  readonly domains: readonly string[];
  /** Whether a request without a Referer may pass. */
  readonly allowEmpty: boolean;
}

/** `listed`: the host is on an `allow` list, so no token is needed. */
export type RefererVerdict = "allowed" | "listed" | "refused";

export function refererVerdict(header: string | undefined, rules: RefererRules): RefererVerdict {
  if (rules.mode === "off") return "allowed";
  if (header === undefined || header.trim() === "") return rules.allowEmpty ? "allowed" : "refused";
  const host = hostOfReferer(header);
  // An unreadable Referer is on no list, so `allow` refuses it and `deny` accepts it.
  const isListed = host !== undefined && rules.domains.some((domain) => covers(domain, host));
  if (rules.mode === "allow") return isListed ? "listed" : "refused";
  return isListed ? "refused" : "allowed";
}

function hostOfReferer(header: string): string | undefined {
  const text = header.trim();
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const host = new URL(text).hostname.toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function covers(domain: string, host: string): boolean {
  return domain.startsWith("*.") ? host.endsWith(domain.slice(1)) && host.length > domain.length - 1 : host === domain;
}
