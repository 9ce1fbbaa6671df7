// The contract of the call that makes a token or a signed download URL.
import * as z from "zod";
import { type AnswerOf, json, listOf, post, time } from "../admin/contract/contract.ts";
import { bucket, flag, text, whole, word } from "../admin/contract/fields.ts";

/** As in serve/sign/token.ts, whose code is not for the browser. */
const MAX_LIFE_SECONDS = 92 * 86_400;
const OPERATIONS = ["download", "upload", "copy", "delete"] as const;

// POST, although it changes nothing: the answer is a secret that no cache or history may keep.
export const signUrl = post("/sign", "operate", {
  summary: "Make a token or a signed download URL",
  fields: {
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
  },
  answer: json({
    operation: z.enum(OPERATIONS),
    url: z.string().optional().describe("The download URL with the token."),
    token: z.string(),
    kind: z.enum(["one-time", "multi-use"]),
    expiresAt: time.optional().describe("Left out for a token of one use."),
    parts: listOf({ letter: z.string(), name: z.string(), value: z.string(), meaning: z.string() }).describe(
      "The signed text, field by field.",
    ),
  }),
});

export type SignAnswer = AnswerOf<typeof signUrl>;
