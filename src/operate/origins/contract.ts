// The contracts of the calls for origins: their state, and a place at one for a migration of this machine.
import * as z from "zod";
import { type AnswerOf, get, json, listOf, originFields, post, time } from "../admin/contract/contract.ts";
import { text, whole } from "../admin/contract/fields.ts";

export const listOrigins = get("/origins", "read", {
  summary: "State of each origin, its latency and its last failures",
  answer: json({
    origins: listOf({
      ...originFields,
      condition: z
        .enum(["unused", "answers", "fails", "paused"])
        .describe("`unused`: not contacted yet. `fails`: only errors. `paused`: gets no requests, or only a probe."),
      requests: z.int().describe("Requests of the last five minutes, refused connections too."),
      failed: z.int().describe("Those of them that failed."),
      since: time.describe("When the outage began; without one, since when the breaker has been closed."),
      connections: z.int().describe("The most running requests."),
      requestsPerSecond: z.number().describe("The limit; 0: none."),
      failures: listOf({
        time,
        key: z.string(),
        code: z.string(),
        status: z.int().optional(),
        text: z.string(),
      }).describe("At most 20, the newest first."),
    }),
  }),
});

// The client keeps its place by keeping the request open, so a killed migration leaves none behind.
export const takePlace = post("/origins/place", "operate", {
  summary: "Take a place at an origin, until the client closes the request",
  fields: {
    origin: text().describe("SHA-256 of the origin's settings, as `huiyuan migrate` makes it."),
    domain: text().describe("Its domain in the settings; `*` is the one of all other hosts."),
    waitMs: whole(0, 600_000).default(0).describe("How long to wait for a place."),
  },
  answer: { mediaType: "text/plain" },
});

export type OriginsAnswer = AnswerOf<typeof listOrigins>;
