// The admin API call that makes a token or a signed download URL, as `huiyuan sign` does.
import { parseToken, type TokenFields } from "../../serve/sign/token.ts";
import type { Calls } from "../admin/calls.ts";
import type { InputOf } from "../admin/contract/contract.ts";
import { invalid } from "../admin/input.ts";
import { type SignAnswer, signUrl } from "./contract.ts";

export interface SignRequest
  extends Pick<
    InputOf<typeof signUrl>,
    "operation" | "url" | "bucket" | "key" | "secretId" | "instruction" | "unbound"
  > {
  /** Seconds; undefined: the token is for one use. */
  readonly life: number | undefined;
}

export interface Signed extends Omit<TokenFields, "random" | "userid">, Pick<SignAnswer, "token" | "url" | "kind"> {}

/** Throws request_invalid, url_invalid, sign_malformed. */
export type Signer = (request: SignRequest) => Signed;

const MEANINGS = {
  appid: ["a", "project"],
  bucket: ["b", "bucket"],
  secretId: ["k", "key pair"],
  expires: ["e", "end of its validity, Unix seconds; 0: one use"],
  issuedAt: ["t", "time of signing, Unix seconds"],
  random: ["r", "random number"],
  userid: ["u", "user; 0: none"],
  fileid: ["f", "file; empty: any file of the bucket"],
} as const satisfies Record<keyof TokenFields, readonly [string, string]>;

export function addSignCall(calls: Calls, sign: Signer): void {
  calls.add(signUrl, (context, input) => {
    const { operation } = input;
    const isOnce = input.once || operation === "copy" || operation === "delete";
    refuseContradiction(input, isOnce);
    const { token, url, kind } = sign({ ...input, life: isOnce ? undefined : input.expiresIn });
    const { fields } = parseToken(token);
    const parts = (Object.keys(MEANINGS) as (keyof TokenFields)[]).map((name) => {
      const [letter, meaning] = MEANINGS[name];
      return { letter, name, value: String(fields[name] ?? ""), meaning };
    });
    const expiresAt = fields.expires === 0 ? undefined : new Date(fields.expires * 1_000).toISOString();
    return context.json({ operation, url, token, kind, expiresAt, parts });
  });
}

/** Throws request_invalid. */
function refuseContradiction({ operation, url, key, instruction, ...input }: InputOf<typeof signUrl>, isOnce: boolean) {
  if (operation !== "download" && (url ?? instruction) !== undefined)
    throw invalid('"url" and "instruction" are for downloads only');
  if (url !== undefined && key !== undefined) throw invalid('give either "url" or "key"');
  if (operation !== "upload" && (url ?? key) === undefined) throw invalid('"key" is missing');
  if (operation === "upload" && input.once) throw invalid("an upload has no token of one use");
  if (isOnce && input.unbound) throw invalid("a token of one use is for one file");
}
