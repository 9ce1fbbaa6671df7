// The contract of the call that tests an origin before it is configured.
import * as z from "zod";
import { type AnswerOf, type EndOf, post } from "../admin/contract/contract.ts";
import { flag, headerFields, names, text, whole } from "../admin/contract/fields.ts";

export const examineOrigin = post("/doctor", "operate", {
  summary: "Test an origin with real requests, and propose settings for it",
  fields: {
    url: text()
      .regex(/^https?:\/\//i, { error: "must begin with http:// or https://" })
      .optional()
      .describe("The site."),
    origin: z
      .record(z.string().max(32), z.union([text(), z.boolean()]))
      .optional()
      .describe("In place of url, host, referer and headers: an entry of `origins` with its keys, as in the settings."),
    samples: names().max(20).optional().describe("Images of the site, as paths or URLs; else one is searched."),
    host: text().default("").describe("The Host header; default: that of the URL."),
    referer: text().default(""),
    headers: headerFields().prefault({}).describe("Further headers."),
    allowPrivate: flag().default(false).describe("true: the site may have a private address."),
    seconds: whole(1, 300).default(120).describe("The examination ends after this time."),
  },
  answer: {
    line: z.object({
      id: z.string().describe("Name of the check; stable."),
      severity: z.enum(["good", "note", "warning", "problem"]),
      found: z.string().describe("The observation."),
      means: z.string().optional().describe("The consequence, and what to do."),
      code: z.string().optional().describe("A failure, or a case of the check; stable."),
    }),
    end: z.object({
      ...{ good: z.int(), note: z.int(), warning: z.int(), problem: z.int() },
      settings: z.string().optional().describe("Proposed settings, YAML; left out if the origin was not reached."),
    }),
  },
});

export type DoctorLine = AnswerOf<typeof examineOrigin>;
export type DoctorEnd = EndOf<typeof examineOrigin>;
