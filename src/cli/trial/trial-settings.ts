// The settings of a trial, as a person would write them, and the tokens that fit them. It starts nothing.
import { randomBytes, randomInt } from "node:crypto";
import { join } from "node:path";
import { HuiyuanError } from "../../core/errors.ts";
import { SettingsFaults } from "../../settings/faults.ts";
import { parseSettings } from "../../settings/load.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { makeToken } from "../../sign/token.ts";
import { SAMPLE_ALIAS } from "./sample-processing.ts";

export interface TrialKeys {
  readonly secretId: string;
  readonly secretKey: string;
}

export interface TrialPorts {
  readonly port: number;
  readonly adminPort: number;
}

export interface TrialParts {
  /** The data folder; it is the trial's own. */
  readonly folder: string;
  readonly originUrl: string;
  /** The origin's host is, or resolves to, a private address. A person who names it means it. */
  readonly isPrivate: boolean;
  readonly keys: TrialKeys;
}

const APPID = "10001234";
const TOKEN_LIFE_SECONDS = 7 * 86_400;

/** The public domain of the first bucket, which answers every other host too. */
export const MIRROR_HOST = "localhost";

/** The host of the second domain, whose bucket requires tokens. */
export const MEMBERS_HOST = `members-${APPID}.localhost`;

export function makeTrialKeys(): TrialKeys {
  return { secretId: `AKID${randomBytes(16).toString("hex")}`, secretKey: randomBytes(24).toString("base64url") };
}

/** Throws settings_invalid where the origin is none that may be mirrored. */
export function trialSettings({ folder, originUrl, isPrivate, keys }: TrialParts, ports: TrialPorts): Settings {
  const mirror = { origins: [{ type: "site", url: originUrl, allowPrivate: isPrivate }] };
  const aliases = { [SAMPLE_ALIAS.name]: SAMPLE_ALIAS.instruction };
  const file = {
    server: { host: "127.0.0.1", ...ports, accessLog: "off" },
    data: folder,
    limits: { freeDisk: "100MB" },
    projects: [
      {
        appid: APPID,
        keys: [keys],
        buckets: [
          { name: "open", aliases, publicDomain: MIRROR_HOST, domains: [{ host: "*", mirror }] },
          { name: "members", aliases, token: "required", domains: [{ host: MEMBERS_HOST, mirror }] },
        ],
      },
    ],
  };
  // JSON is YAML, and this way the trial passes the same checks as every settings file.
  const readFile = (path: string): never => {
    throw new Error(`a trial reads no file such as ${path}`);
  };
  try {
    return parseSettings(JSON.stringify(file), { env: {}, readFile, file: join(folder, "huiyuan.yaml") });
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    // Nobody has written that file; the URL alone is what a person may put right.
    const faults = new Set(error.faults.map(({ message }) => message));
    throw new HuiyuanError("settings_invalid", `Cannot mirror ${originUrl}: ${[...faults].join("; ")}`);
  }
}

/** A token of 7 days for MEMBERS_HOST: for one image, or for every one where `fileid` is empty. */
export function trialToken(fileid: string, { secretId, secretKey }: TrialKeys): string {
  const issuedAt = Math.floor(Date.now() / 1_000);
  const random = randomInt(2 ** 31);
  const expires = issuedAt + TOKEN_LIFE_SECONDS;
  const fields = { appid: APPID, bucket: "members", secretId, expires, issuedAt, random, userid: "0", fileid };
  return makeToken(fields, secretKey);
}
