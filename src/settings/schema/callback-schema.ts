// The keys of a bucket's `callback`: whom uploads are told to. How that is done is upload/'s.
import * as z from "zod";
import { callbackUrlFault } from "../checks/origin-rules.ts";
import { duration } from "./quantities.ts";
import { flag, secret } from "./values.ts";

export const callbackSchema = z.strictObject({
  url: z
    .string()
    .superRefine((text, context) => {
      const message = callbackUrlFault(text);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .describe("http:// or https:// URL of your server that is told of each upload; a query is allowed."),
  secret: secret("the secret that notices are signed with, as env:NAME or file:PATH").describe(
    "Signs the notices, so that your server can verify them (env:NAME or file:PATH).",
  ),
  timeout: duration({ min: "100ms", max: "10s" })
    .prefault("3s")
    .describe("How long an upload's answer waits for your server; 100ms to 10s. Clients give up after some 5s."),
  onFailure: z
    .enum(["report", "accept"])
    .default("report")
    .describe("What the uploader is told when your server cannot be: report (-5979, the file stays) or accept (0)."),
  allowPrivate: flag().default(false).describe("true: this URL may have a private address."),
});
