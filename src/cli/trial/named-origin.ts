// Checks the site of `huiyuan try` before it is mirrored: does its name resolve, and to a private address?
// It blocks nothing: the dialer does.
import { lookup } from "node:dns/promises";
import { classifyAddress } from "../../core/addresses.ts";

export interface NamedOrigin {
  /** Its host is, or resolves to, a loopback or private address. */
  readonly isPrivate: boolean;
  /** Why its name has no usable address, by describeTrouble(); undefined if it has one. */
  readonly trouble: string | undefined;
}

const LOOKUP_MS = 3_000;

/** Resolves the host of `url`, for at most 3 s. Never throws. */
export async function lookAtOrigin(url: string): Promise<NamedOrigin> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  try {
    const addresses = await within(LOOKUP_MS, lookup(host, { all: true }));
    const classes = addresses.map(({ address }) => classifyAddress(address));
    const isAllowed = classes.some((name) => name !== "forbidden");
    return {
      isPrivate: classes.includes("private"),
      trouble: isAllowed ? undefined : `the address of ${host} is never allowed for an origin`,
    };
  } catch (error) {
    return { isPrivate: false, trouble: describeTrouble(error, url) };
  }
}

/** Describes a failed lookup or fetch of `url` in plain words, as a clause. */
export function describeTrouble(error: unknown, url: string): string {
  const { hostname, host } = new URL(url);
  const codes = codesOf(error);
  const has = (...wanted: readonly string[]) => wanted.some((code) => codes.includes(code));
  if (has("origin_blocked")) return `${host} has an address that is never allowed for an origin`;
  if (has("ENOTFOUND")) return `the name ${hostname} does not exist`;
  if (has("EAI_AGAIN")) return `the name ${hostname} cannot be resolved: no name server answers`;
  if (has("ECONNREFUSED")) return `${host} refuses connections: nothing listens there`;
  if (has("TimeoutError", "ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "origin_timeout"))
    return `${host} did not answer in time`;
  if (has("EHOSTUNREACH", "ENETUNREACH")) return `${host} cannot be reached from this network`;
  if (has("ECONNRESET", "UND_ERR_SOCKET", "origin_reset")) return `${host} closed the connection without an answer`;
  return `${host} cannot be reached (${codes.at(-1) ?? "unknown reason"})`;
}

/** Codes and names of the error and its causes, because fetch() wraps system errors. */
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
