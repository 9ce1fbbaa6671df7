// What is known of a site that somebody names for a trial, before it is mirrored: does its name lead to this machine or
// network, and what is wrong where it cannot be asked. It guards nothing; the dialer does.
import { lookup } from "node:dns/promises";
import { classifyAddress } from "../../core/addresses.ts";

export interface NamedOrigin {
  /** Its host is, or resolves to, a loopback or private address. */
  readonly isPrivate: boolean;
  /** Why its name leads nowhere, as describeTrouble() says it; undefined when it leads somewhere. */
  readonly trouble: string | undefined;
}

const LOOKUP_MS = 3_000;

/** Looks the host of `url` up, for 3 s at most. Never throws. */
export async function lookAtOrigin(url: string): Promise<NamedOrigin> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  try {
    const addresses = await within(LOOKUP_MS, lookup(host, { all: true }));
    const classes = addresses.map(({ address }) => classifyAddress(address));
    const isAllowed = classes.some((name) => name !== "forbidden");
    return {
      isPrivate: classes.includes("private"),
      trouble: isAllowed ? undefined : `the address of ${host} is one that a mirror never asks`,
    };
  } catch (error) {
    return { isPrivate: false, trouble: describeTrouble(error, url) };
  }
}

/** A failed look-up or fetch of `url` in a newcomer's words: half a sentence. */
export function describeTrouble(error: unknown, url: string): string {
  const { hostname, host } = new URL(url);
  const codes = codesOf(error);
  const has = (...wanted: readonly string[]) => wanted.some((code) => codes.includes(code));
  if (has("origin_blocked")) return `${host} leads to an address that a mirror never asks`;
  if (has("ENOTFOUND")) return `the name ${hostname} does not exist`;
  if (has("EAI_AGAIN")) return `the name ${hostname} could not be looked up: no name server answers`;
  if (has("ECONNREFUSED")) return `${host} refuses connections: nothing listens there`;
  if (has("TimeoutError", "ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "origin_timeout"))
    return `${host} did not answer in time`;
  if (has("EHOSTUNREACH", "ENETUNREACH")) return `${host} cannot be reached from this network`;
  if (has("ECONNRESET", "UND_ERR_SOCKET", "origin_reset")) return `${host} closed the connection without an answer`;
  return `${host} could not be asked (${codes.at(-1) ?? "unknown reason"})`;
}

/** Codes and names along the chain of causes: fetch() wraps what the system said. */
function codesOf(error: unknown): readonly string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error && codes.length < 10; at = at.cause) {
    codes.push(at.name);
    if ("code" in at && typeof at.code === "string") codes.push(at.code);
  }
  return codes;
}

async function within<Value>(milliseconds: number, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException("too late", "TimeoutError")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
