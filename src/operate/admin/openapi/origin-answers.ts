// Schemas of the answers about origins, for openapi.ts. Times are ISO 8601; unknown fields are left out.
import * as z from "zod";
import { time } from "./answers.ts";

const milliseconds = z.number().describe("Milliseconds.");

/** The fields of an origin in /origins and in the live figures. */
export const originFields = {
  name: z.string().describe("Its address, without credentials."),
  state: z.enum(["closed", "open", "half-open"]).describe("State of its circuit breaker."),
  running: z.int().describe("Running requests, until the body has ended."),
  waiting: z.int().describe("Queued requests."),
  pausedMs: z.number().describe("Remaining pause that the origin requested with Retry-After."),
  latency: z
    .object({ p50: milliseconds, p90: milliseconds, p99: milliseconds, max: milliseconds })
    .optional()
    .describe("Times until response heads: the last 512 of the last five minutes."),
};

export const originsAnswer = z.object({
  origins: z.array(
    z.object({
      ...originFields,
      condition: z
        .enum(["unused", "answers", "fails", "paused"])
        .describe("`unused`: not contacted yet. `fails`: only errors. `paused`: gets no requests, or only a probe."),
      requests: z.int().describe("Requests of the last five minutes, refused connections too."),
      failed: z.int().describe("Those of them that failed."),
      since: time.describe("When the outage began; without one, since when the breaker has been closed."),
      connections: z.int().describe("The most running requests."),
      requestsPerSecond: z.number().describe("The limit; 0: none."),
      failures: z
        .array(z.object({ time, key: z.string(), code: z.string(), status: z.int().optional(), text: z.string() }))
        .describe("At most 20, the newest first."),
    }),
  ),
});

export const doctorLine = z.object({
  id: z.string().describe("Name of the check; stable."),
  severity: z.enum(["good", "note", "warning", "problem"]),
  found: z.string().describe("The observation."),
  means: z.string().optional().describe("The consequence, and what to do."),
  code: z.string().optional().describe("A failure, or a case of the check; stable."),
});

export const doctorEnd = z.object({
  ...{ good: z.int(), note: z.int(), warning: z.int(), problem: z.int() },
  settings: z.string().optional().describe("Proposed settings, YAML; left out if the origin was not reached."),
});

export type OriginsAnswer = z.output<typeof originsAnswer>;
export type DoctorLine = z.output<typeof doctorLine>;
export type DoctorEnd = z.output<typeof doctorEnd>;
