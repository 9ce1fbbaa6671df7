// Makes the settings of a trial, as an operator would write them, and tokens for them. It starts nothing.
import { randomInt } from "node:crypto";
import { makeToken } from "../../../serve/sign/token.ts";
import type { KeyPair } from "../../../settings/key-pair.ts";
import { makeSettings } from "../../../settings/load.ts";
import type { Settings } from "../../../settings/schema/schema.ts";
import { SAMPLE_ALIAS } from "./forms.ts";

export type TrialPorts = Pick<Settings["server"], "port" | "adminPort">;

export interface TrialParts extends Omit<ChosenSite, "bucket"> {
  /** The data folder, which belongs to the trial alone. */
  readonly folder: string;
  readonly keys: KeyPair;
  /** The site that the public bucket mirrors instead; signed URLs that were printed stay valid. */
  readonly chosen?: ChosenSite;
}

export interface ChosenSite {
  readonly originUrl: string;
  /** The origin has a private address, which is allowed because the user named it. */
  readonly isPrivate: boolean;
  /** Each site has a bucket of its own, because equal keys of two sites are different pictures. */
  readonly bucket: string;
}

export const APPID = "10001234";
/** The public bucket of the first site. */
export const FIRST_BUCKET = "open";
const TOKEN_LIFE_SECONDS = 7 * 86_400;

/** The public domain of the first bucket, which answers every other host too. */
export const MIRROR_HOST = "localhost";

/** The host of the second domain, whose bucket requires tokens. */
export const MEMBERS_HOST = `members-${APPID}.localhost`;

/** Throws settings_invalid if the origin may not be mirrored. */
export function trialSettings({ folder, keys, chosen, ...first }: TrialParts, ports: TrialPorts): Settings {
  const { bucket, ...open } = chosen ?? { ...first, bucket: FIRST_BUCKET };
  const mirrorOf = ({ originUrl, isPrivate }: typeof first) => ({
    origins: [{ type: "site", url: originUrl, allowPrivate: isPrivate }],
  });
  const aliases = { [SAMPLE_ALIAS.name]: SAMPLE_ALIAS.instruction };
  const publicDomain = MIRROR_HOST;
  const file = {
    server: { host: "127.0.0.1", ...ports, accessLog: "off" },
    data: folder,
    limits: { freeDisk: "100MB" },
    projects: [
      {
        appid: APPID,
        keys: [keys],
        buckets: [
          { name: bucket, aliases, publicDomain, domains: [{ host: "*", mirror: mirrorOf(open) }] },
          { name: "members", aliases, token: "required", domains: [{ host: MEMBERS_HOST, mirror: mirrorOf(first) }] },
        ],
      },
    ],
  };
  return makeSettings(file, `Cannot mirror ${open.originUrl}`);
}

/** A token for MEMBERS_HOST, valid for 7 days: for one image, or for every image if `fileid` is empty. */
export function trialToken(fileid: string, { secretId, secretKey }: KeyPair): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const random = randomInt(2 ** 31);
  const expires = issuedAt + TOKEN_LIFE_SECONDS;
  const fields = { appid: APPID, bucket: "members", secretId, expires, issuedAt, random, userid: "0", fileid };
  return makeToken(fields, secretKey);
}
