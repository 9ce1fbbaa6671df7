// The keys under `limits` with their defaults, bounds and descriptions.
import * as z from "zod";
import { wanted } from "../faults.ts";
import { duration, size } from "./quantities.ts";
import { count } from "./values.ts";

const rate = (what: string) =>
  z.number().min(0).max(1_000_000).default(0).describe(`${what} of one client a second; 0 is off.`);

const perClientSchema = z.strictObject({
  requestsPerSecond: rate("Requests, downloads and calls of the REST API,"),
  rendersPerSecond: rate("Renders that are started by downloads"),
  burst: z
    .number()
    .min(0)
    .max(3_600)
    .default(2)
    .describe("Seconds of a rate that a client may use at once, at least one request or render."),
});

export const limitsSchema = z.strictObject({
  memory: size({ min: "1MiB" }).prefault("256MB").describe("Memory cache of small images; at least 1MiB."),
  disk: size({ min: "1MiB" })
    .prefault("20GB")
    .describe("Disk cache (variants, copies of remote objects); at least 1MiB."),
  objectSize: size({ min: "1KiB", max: "1GiB" })
    .prefault("20MiB")
    .describe("Largest object that is fetched, uploaded or stored; 1KiB to 1GiB."),
  imagePixels: count(1, 10 ** 12)
    .default(100_000_000)
    .describe("Largest image that is processed: width × height × frames."),
  imageFrames: count(1, 100_000).default(300).describe("Most frames of an image that is processed."),
  renderTime: duration({ min: "100ms", max: "10m" })
    .prefault("5s")
    .describe("Deadline of one render once its process is ready; then 500 with X-ErrNo -901; 100ms to 10m."),
  fills: count(1, 65_536).default(256).describe("Concurrent fetches from origins."),
  spoolMemory: size()
    .prefault("64MiB")
    .describe("Memory of all arriving bodies, at most 256KiB each; the rest goes to disk; 0 is disk only."),
  hotObjectSize: size().prefault("2MiB").describe("Larger objects are not kept in memory."),
  freeDisk: size().prefault("2GB").describe("Below this free space nothing more is stored; serving goes on."),
  renders: z
    .union([count(1, 1024), z.literal("auto")], { error: wanted("a whole number or auto", "整数或 auto") })
    .default("auto")
    .describe("Concurrent renders; auto fits the machine."),
  perClient: perClientSchema
    .prefault({})
    .describe("Rates of one client, an IPv4 address or an IPv6 /64; beyond them 429, -29214, with Retry-After."),
});
