// Observes a fault between the origin and the program: one bad round, then a good one, then a hit.
import { expect } from "vitest";
import { response } from "../../helpers/scripted-origin.ts";
import type { Fault } from "../fault.ts";
import { getFresh, getStored, type Lab, type LabScript, PATIENT, tell } from "../lab.ts";

/**
 * `stored`: a request after the bad round did not reach the origin. `next`: the result of the next good response; `–`
 * if the bad round was good enough to be stored.
 */
export interface MissSeen {
  readonly client: string;
  readonly requests: number;
  readonly stored: "yes" | "no";
  readonly next: "stored" | "–";
}

export interface MissFault {
  readonly id: string;
  readonly what: string;
  /** Default: a domain with long time-outs. */
  readonly host?: string;
  /** The origin's responses until it works. */
  readonly script: (lab: Lab) => LabScript;
  /** Runs the client's bad round and describes it; default one GET. */
  readonly ask?: (lab: Lab, path: string, host: string) => Promise<string>;
  /** The origin's body once it works; default the lab's picture. */
  readonly good?: (lab: Lab) => Buffer;
  /** Domain of the good round; default the same. */
  readonly goodHost?: string;
  readonly expected: MissSeen;
}

/** The usual verdicts. */
export const NOT_STORED = { stored: "no", next: "stored" } as const;
export const STORED = { stored: "yes", next: "–" } as const;

export function missFault(row: MissFault): Fault {
  return { id: row.id, what: row.what, expected: { ...row.expected }, observe: (lab) => observe(lab, row) };
}

async function observe(lab: Lab, row: MissFault) {
  const { host = PATIENT, goodHost = host } = row;
  const path = `/${row.id}.jpg`;
  const good = row.good?.(lab) ?? lab.picture;
  lab.script(path, row.script(lab));
  const client = await (row.ask?.(lab, path, host) ?? lab.get({ path, host }).then((seen) => tell(seen, good)));
  const requests = lab.asked(path);
  lab.script(path, [response(good)]);
  const second = await getFresh(lab, { path, host: goodHost });
  expect(tell(second, good), "the good round").toBe("200 whole");
  const isStored = lab.asked(path) === requests;
  const before = lab.asked(path);
  const third = await getStored(lab, { path, host: goodHost });
  expect(tell(third, good), "the round after").toBe("200 whole");
  expect(lab.asked(path), "requests of the round after").toBe(before);
  lab.keep(path, good);
  return { client, requests, stored: isStored ? "yes" : "no", next: isStored ? "–" : "stored" };
}
