// `npm run outage`: runs ten minutes under load without the origin. Reports whether every stored image was served, the
// latency of failed misses, and the time from the origin's return to the first fetched image. Prints the log.
import { parseArgs } from "node:util";
import { runOutage } from "./outage-run.ts";

const MAX_LINES = 12;
/** The clients share the machine with the server. */
const MAX_MISS_MS = 20;
/** The default breaker stays open for ten seconds; the rest is tolerance for a busy machine. */
const MAX_RECOVERY_MS = 12_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    kind: { type: "string", default: "dead" },
    help: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);
const { kind } = values;

if (values.help || !(minutes > 0) || (kind !== "dead" && kind !== "hung")) {
  process.stdout.write(`npm run outage -- [--minutes N] [--kind dead|hung]

--minutes N   how long the origin is away, default 10
--kind        dead: nginx is killed (default); hung: the origin takes requests and says nothing
`);
  process.exitCode = values.help ? 0 : 2;
} else {
  const report = await runOutage({
    kind,
    outageMs: minutes * 60_000,
    breaker: { failures: 5, within: "10s", open: "10s" },
    timeouts: { connect: "3s", firstByte: "10s", idle: "10s", total: "60s" },
  });
  const { hits, failedHits, misses, missMs, recoveryMs, log, accessLines } = report;
  const musts: readonly (readonly [string, boolean])[] = [
    [`${failedHits} of ${hits} downloads of stored images failed`, failedHits === 0 && hits > 0],
    [`misses: ${JSON.stringify(misses)}`, Object.keys(misses).every((outcome) => /^(424|503) -902$/.test(outcome))],
    [
      `a miss failed within ${missMs.median.toFixed(1)} ms (median; p99 ${missMs.p99.toFixed(1)})`,
      missMs.median <= MAX_MISS_MS,
    ],
    [`the first image came ${(recoveryMs / 1_000).toFixed(1)} s after the origin`, recoveryMs <= MAX_RECOVERY_MS],
    [`${log.length} lines of log, beside ${accessLines} of the access log`, log.length <= MAX_LINES],
  ];
  for (const [text, isMet] of musts) process.stdout.write(`${isMet ? "ok  " : "MUST"} ${text}\n`);
  process.stdout.write(`\n${log.join("\n")}\n`);
  if (!musts.every(([, isMet]) => isMet)) process.exitCode = 1;
}
