// Token 防盗链 of one bucket: what the token of a download allows, and whether it is used up by it.
import { HuiyuanError } from "../../core/errors.ts";
import type { Key } from "../../core/object.ts";
import type { OnceLedger } from "../../sign/once.ts";
import type { OneTimeDownloads } from "../../sign/token.ts";
import type { VerifiedTokens } from "../../sign/verified.ts";
import type { Admission, Authorizer } from "./site.ts";

export interface AuthorizerOptions {
  readonly appid: string;
  /** The bucket's name. */
  readonly bucket: string;
  readonly acceptV1: boolean;
  readonly oneTimeDownloads: OneTimeDownloads;
  /** What caches may do with a signed answer. */
  readonly mode: "private" | "shared";
  readonly tokens: VerifiedTokens;
  readonly once: OnceLedger;
  /** Unix milliseconds. */
  readonly now: () => number;
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { appid, bucket, acceptV1, oneTimeDownloads, mode, tokens, once, now } = options;
  return {
    admit(sign: string | undefined, key: Key): Admission {
      if (sign === undefined) throw new HuiyuanError("sign_missing", `Cannot serve "${key}": a token is required`);
      const time = now() / 1_000;
      const seconds = Math.floor(time);
      // Written out: a spread costs 3 µs here, a tenth of the whole answer (docs/performance.md, "signed memory hit").
      const grant = tokens.verify(
        sign,
        { operation: "download", appid, bucket, userid: "0", acceptV1, fileid: key, oneTimeDownloads },
        seconds,
      );
      if (grant.kind === "multi-use") {
        // Rounded down, so that no cache keeps the answer for longer than the token lives.
        const expiresInSeconds = Math.floor(grant.expires - time);
        return { scope: { kind: "signed", mode, expiresInSeconds }, spend: undefined };
      }
      if (grant.spend === "reuse") return { scope: { kind: "reusable-one-time" }, spend: undefined };
      // Once a request: an answer that is begun again, because damage was found, has paid.
      let spent: Promise<boolean> | undefined;
      const spend = () => {
        spent ??= once.spend(grant.token, seconds);
        return spent;
      };
      return { scope: { kind: "one-time" }, spend, isSpent: () => once.isSpent(grant.token, seconds) };
    },
    boundFile: tokens.boundFile,
  };
}
