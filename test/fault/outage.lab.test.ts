// A short outage of the origin under load; `npm run outage` takes ten minutes. The origin is dead, or it accepts
// requests and never responds.
import { expect, test } from "vitest";
import { runOutage } from "../bench/outage-run.ts";
import { needs } from "../helpers/services.ts";

const BREAKER = { failures: 5, within: "1s", open: "1s" };
const TIMEOUTS = { connect: "1s", firstByte: "1s", idle: "1s", total: "4s" };

test.each(["dead", "hung"] as const)(
  "a %s origin affects no stored image, causes about a dozen log lines, and recovers without a restart",
  needs("nginx"),
  async (kind) => {
    const report = await runOutage({ kind, outageMs: 5_000, breaker: BREAKER, timeouts: TIMEOUTS });
    expect(report.hits).toBeGreaterThan(200);
    expect(report.failedHits).toBe(0);
    // 503: requests that waited for a slot while the first ones hung.
    for (const outcome of Object.keys(report.misses)) expect(["424 -902", "503 -902"]).toContain(outcome);
    expect(report.misses["424 -902"]).toBeGreaterThan(50);
    expect(report.recoveryMs).toBeLessThan(4_000);
    // Only failures before the breaker opened are logged, none of the thousands after.
    expect(report.accessLines).toBeLessThan(report.misses["424 -902"] ?? 0);
    expect(report.log.length).toBeLessThanOrEqual(12);
    const story = report.log.join("\n");
    expect(story).toContain("an origin keeps failing");
    expect(story).toContain("an origin answers again");
  },
);
