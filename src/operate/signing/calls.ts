// The admin API call that makes a token or a signed download URL, as `huiyuan sign` does.
import { MAX_LIFE_SECONDS, parseToken, type TokenFields } from "../../serve/sign/token.ts";
import type { Calls, InputOf } from "../admin/calls.ts";
import { bucket, flag, invalid, text, whole, word } from "../admin/input.ts";
import { signAnswer } from "../admin/openapi/object-answers.ts";

export interface SignRequest extends Pick<InputOf<typeof FIELDS>, "operation" | "url" | "bucket" | "key"> {
  readonly secretId?: string | undefined;
  readonly instruction?: string | undefined;
  /** Seconds; undefined: the token is for one use. */
  readonly life: number | undefined;
  /** True: the token is for any file of the bucket. */
  readonly unbound: boolean;
}

export interface Signed extends Omit<TokenFields, "random" | "userid"> {
  readonly token: string;
  /** The download URL with the token. */
  readonly url?: string | undefined;
  readonly kind: "one-time" | "multi-use";
}

/** Throws request_invalid, url_invalid, sign_malformed. */
export type Signer = (request: SignRequest) => Signed;

const OPERATIONS = ["download", "upload", "copy", "delete"] as const;

const FIELDS = {
  operation: word(OPERATIONS).default("download"),
  bucket: bucket(),
  key: text().optional().describe("Key of the object; left out for an upload: any name."),
  url: text().optional().describe("Instead of a key: the download URL to sign."),
  instruction: text().optional().describe("Processing for the download URL, such as imageView2/2/w/200."),
  expiresIn: whole(1, MAX_LIFE_SECONDS)
    .default(30 * 86_400)
    .describe("Seconds; not for tokens of one use."),
  once: flag().default(false).describe("true: a download token of one use. Copies and deletes have no other."),
  unbound: flag().default(false).describe("true: the token is for any file of the bucket."),
  secretId: text().optional().describe("The key pair; default: the first enabled one of the project."),
};

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
  const summary = "Make a token or a signed download URL";
  // POST, although it changes nothing: the answer is a secret that no cache or history may keep.
  calls.post("/sign", { summary, fields: FIELDS, answer: { json: signAnswer } }, (context, input) => {
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
function refuseContradiction({ operation, url, key, instruction, ...input }: InputOf<typeof FIELDS>, isOnce: boolean) {
  if (operation !== "download" && (url ?? instruction) !== undefined)
    throw invalid('"url" and "instruction" are for downloads only');
  if (url !== undefined && key !== undefined) throw invalid('give either "url" or "key"');
  if (operation !== "upload" && (url ?? key) === undefined) throw invalid('"key" is missing');
  if (operation === "upload" && input.once) throw invalid("an upload has no token of one use");
  if (isOnce && input.unbound) throw invalid("a token of one use is for one file");
}
