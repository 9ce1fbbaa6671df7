// The admin API call that tests an origin before it is configured: a line for each finding, as `huiyuan doctor` prints
// them. Private addresses are dialled only if the caller allows it, as in the settings.
import { PassThrough } from "node:stream";
import { createSemaphore } from "../../async/semaphore.ts";
import { asHuiyuanError, HuiyuanError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { auditedStream, auditOf, loggedName } from "../admin/audit.ts";
import type { Calls } from "../admin/calls.ts";
import { invalid } from "../admin/input.ts";
import { examineOrigin } from "./contract.ts";
import type { Finding } from "./finding.ts";
import { type Examination, examineEntry, examineSite } from "./service.ts";

/** Examinations at once: each sends about twenty requests, and reads up to 100 MB. */
const PLACES = 2;

const STOPPING = new HuiyuanError("draining", "the server is shutting down");

export function addDoctorCall(
  calls: Calls,
  { stopping, log }: { readonly stopping: AbortSignal; readonly log: Log },
): void {
  const places = createSemaphore(PLACES);
  calls.add(examineOrigin, (context, { samples = [], seconds, ...input }) => {
    const { origin, allowPrivate } = input;
    const url = input.url?.replace(/\/+$/, "");
    if ((url === undefined) === (origin === undefined)) throw invalid("give one of url and origin");
    if (url !== undefined && URL.canParse(url) && new URL(url).username !== "")
      throw invalid("the URL has credentials");
    const run = prepared(() =>
      url === undefined ? examineEntry({ ...origin, allowPrivate }, samples) : examineSite({ ...input, url }, samples),
    );
    const release = places.tryAcquire();
    if (release === undefined) throw new HuiyuanError("overloaded", "other origins are being tested; try again");
    const name = String(url ?? origin?.domain ?? origin?.bucket ?? "");
    const what = { operation: "doctor", origin: loggedName(name), allowPrivate };
    const write = auditOf(context, log, what);
    const counts = { good: 0, note: 0, warning: 0, problem: 0 };
    // Without the proposal, which has the headers of the call.
    const audit: typeof write = (outcome) => write(outcome, { ...counts, settings: undefined });
    const end: typeof counts & { settings?: string | undefined } = counts;
    return auditedStream(context, { audit, counts: end }, async function* (gone) {
      try {
        const signal = AbortSignal.any([gone, stopping]);
        const told = new PassThrough({ objectMode: true });
        const say = (finding: Finding) => {
          counts[finding.severity] += 1;
          told.write(finding);
        };
        run({ seconds, signal }, { say: (id, found) => found && say({ id, ...found }) })
          .then(({ proposal }) => {
            end.settings = proposal;
            told.end();
          })
          .catch((error: unknown) => void told.destroy(stopping.aborted ? STOPPING : asHuiyuanError(error)));
        yield* told;
      } finally {
        release();
      }
    });
  });
}

/** Throws request_invalid with the fault of the input. */
function prepared(make: () => Examination): Examination {
  try {
    return make();
  } catch (error) {
    const known = asHuiyuanError(error);
    throw known.code === "settings_invalid" ? invalid(known.message) : known;
  }
}
