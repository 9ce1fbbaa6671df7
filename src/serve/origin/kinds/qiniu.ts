// The origin `qiniu`: a bucket of Qiniu (七牛云存储), public or private, behind one of its download domains.
import { createHmac } from "node:crypto";
import { HuiyuanError } from "../../../core/errors.ts";
import { encodeKey, parseHome } from "../exchange/hop.ts";
import { type HttpOriginRules, hashedId } from "./http-rules.ts";

export interface QiniuOptions {
  /** The download domain as a URL, such as http://x.clouddn.com. */
  readonly domain: string;
  /** Signs every request; needs both keys. */
  readonly private: boolean;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly referer?: string | undefined;
  /** True: the origin may have a private address. */
  readonly allowPrivate: boolean;
  /** Unix milliseconds; default Date.now. */
  readonly now?: () => number;
}

interface QiniuKeys {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Long enough for a fetch with its retry, and for a clock that is wrong by some minutes. */
const TOKEN_LIFE_S = 3_600;

/** Throws settings_invalid for options that cannot work. */
export function qiniuRules(options: QiniuOptions): HttpOriginRules {
  const home = parseHome(options.domain);
  const { accessKey, secretKey, now = Date.now } = options;
  const keys = options.private ? bothKeys(options.domain, accessKey, secretKey) : undefined;
  const { domain, referer, allowPrivate } = options;
  return {
    id: hashedId("qiniu", [domain, referer || "", allowPrivate, keys?.accessKey, keys?.secretKey]),
    home,
    head: { referer: referer || undefined },
    isQuerySecret: keys !== undefined,
    target({ path, query }) {
      const target = `${home.basePath}/${encodeKey(path)}${query === "" ? "" : `?${query}`}`;
      return keys === undefined
        ? target
        : signQiniuTarget(home.origin, target, keys, Math.floor(now() / 1_000) + TOKEN_LIFE_S);
    },
  };
}

/**
 * Appends `e`, the deadline in Unix seconds, and `token` to `target` (path and perhaps a query); they must be last.
 * `origin`: scheme and host as the request has them. https://developer.qiniu.com/kodo/1202/download-token
 */
export function signQiniuTarget(origin: string, target: string, keys: QiniuKeys, deadlineSeconds: number): string {
  const dated = `${target}${target.includes("?") ? "&" : "?"}e=${deadlineSeconds}`;
  const mac = createHmac("sha1", keys.secretKey)
    .update(origin + dated)
    .digest("base64");
  // URL-safe with padding; Node's base64url omits the padding.
  const urlSafe = mac.replaceAll("+", "-").replaceAll("/", "_");
  return `${dated}&token=${keys.accessKey}:${urlSafe}`;
}

function bothKeys(domain: string, accessKey: string | undefined, secretKey: string | undefined): QiniuKeys {
  const invalid = (found: string) => new HuiyuanError("settings_invalid", `Cannot use "${domain}": ${found}`);
  if (!accessKey || !secretKey) throw invalid("a private bucket needs accessKey and secretKey");
  if (!/^[\w-]+$/.test(accessKey)) throw invalid("accessKey has other characters than A-Za-z0-9_-");
  return { accessKey, secretKey };
}
