// Schema of a bucket's `callback`: the server that is notified of uploads. Sending is done in upload/.
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
    .describe("http:// or https:// URL of your server that is notified of each upload; a query is allowed."),
  secret: secret("the secret that notices are signed with, as env:NAME or file:PATH").describe(
    "Secret that signs the notices, so that your server can verify them (env:NAME or file:PATH).",
  ),
  timeout: duration({ min: "100ms", max: "10s" })
    .prefault("3s")
    .describe("How long an upload waits for your server's answer; 100ms to 10s. Clients give up after about 5s."),
  onFailure: z
    .enum(["report", "accept"])
    .default("report")
    .describe("Answer to the uploader if the callback fails: report (-5979, the file stays) or accept (0)."),
  allowPrivate: flag().default(false).describe("true: this URL may have a private address."),
});
