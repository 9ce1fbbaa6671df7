// Rows about network faults, by a proxy between the program and a healthy origin, and about names that do not resolve.

import type { NameAnswer } from "../../helpers/name-server.ts";
import { chunk, head, response } from "../../helpers/scripted-origin.ts";
import type { FaultGroup } from "../fault.ts";
import { halfOf, PATIENT, REFUSED } from "../lab.ts";
import type { ProxyFault } from "../proxy.ts";
import { type MissFault, missFault, NOT_STORED, STORED } from "./misses.ts";

type Row = Omit<MissFault, "script" | "host" | "goodHost"> & {
  readonly fault: ProxyFault;
  readonly script?: MissFault["script"];
};

const GOOD = { client: "200 whole", requests: 1, ...STORED } as const;
const BROKEN = { client: "200 broken", requests: 1, ...NOT_STORED } as const;
const SILENT = { client: "424, -902", requests: 1, ...NOT_STORED } as const;
/** A close-delimited body, with enough time between its halves for the client to receive the head. */
const untilClose: MissFault["script"] = ({ picture }) => [head("200 OK", [["Connection", "close"]]), picture, "FIN"];
const inChunks: MissFault["script"] = ({ picture }) => [
  head("200 OK", [["Transfer-Encoding", "chunked"]]),
  chunk(halfOf(picture)),
  chunk(picture.subarray(halfOf(picture).length)),
  chunk(""),
];

const ROWS: readonly Row[] = [
  { id: "wire-latency", what: "20 ms before each piece", fault: { latencyMs: 20 }, expected: GOOD },
  {
    id: "wire-jitter",
    what: "up to 30 ms before each piece of 4 kB",
    fault: { jitterMs: 30, sliceBytes: 4_096 },
    expected: GOOD,
  },
  {
    id: "wire-bandwidth",
    what: "200 kB a second",
    fault: { bytesPerSecond: 200_000, sliceBytes: 4_096 },
    expected: GOOD,
  },
  { id: "wire-slicer", what: "7 bytes a packet", fault: { sliceBytes: 7 }, expected: GOOD },
  {
    id: "wire-slicer-chunks",
    what: "7 bytes a packet, a chunked body",
    fault: { sliceBytes: 7 },
    script: inChunks,
    expected: GOOD,
  },
  {
    id: "wire-too-slow",
    what: "15 kB a second, beyond the total time",
    fault: { bytesPerSecond: 15_000, sliceBytes: 1_024 },
    expected: BROKEN,
  },
  {
    id: "wire-cut-at-once",
    what: "FIN instead of any byte",
    fault: { stop: { after: 0, by: "cut" } },
    expected: { client: "424, -902", requests: 2, ...NOT_STORED },
  },
  {
    id: "wire-reset-at-once",
    what: "RST instead of any byte",
    fault: { stop: { after: 0, by: "reset" } },
    expected: { client: "424, -902", requests: 2, ...NOT_STORED },
  },
  {
    id: "wire-blackhole-at-once",
    what: "the request arrives, but no response",
    fault: { stop: { after: 0, by: "blackhole" } },
    expected: SILENT,
  },
  {
    id: "wire-blackhole-in-head",
    what: "silence after 30 bytes",
    fault: { stop: { after: 30, by: "blackhole" } },
    expected: SILENT,
  },
  {
    id: "wire-cut",
    what: "FIN after 50 000 bytes",
    fault: { stop: { after: 50_000, by: "cut" }, latencyMs: 20 },
    expected: BROKEN,
  },
  {
    id: "wire-cut-chunks",
    what: "FIN after 50 000 bytes of a chunked body",
    fault: { stop: { after: 50_000, by: "cut" }, latencyMs: 20 },
    script: inChunks,
    expected: BROKEN,
  },
  {
    id: "wire-cut-close",
    what: "FIN after 50 000 bytes of a close-delimited body",
    fault: { stop: { after: 50_000, by: "cut" }, latencyMs: 20 },
    script: untilClose,
    expected: BROKEN,
  },
  {
    id: "wire-reset",
    what: "RST after 50 000 bytes",
    fault: { stop: { after: 50_000, by: "reset" }, latencyMs: 20 },
    expected: BROKEN,
  },
  {
    id: "wire-blackhole",
    what: "silence after 50 000 bytes",
    fault: { stop: { after: 50_000, by: "blackhole" } },
    expected: BROKEN,
  },
  {
    id: "wire-half-open",
    what: "the origin's FIN never arrives, declared length",
    fault: { end: "half-open" },
    expected: GOOD,
  },
  {
    id: "wire-half-open-close",
    what: "the origin's FIN never arrives, close-delimited",
    fault: { end: "half-open" },
    script: untilClose,
    expected: BROKEN,
  },
  {
    id: "wire-slow-close",
    what: "the origin's FIN arrives 0.3 s late, close-delimited",
    fault: { end: 300 },
    script: untilClose,
    expected: GOOD,
  },
];

const domainOf = (id: string) => `${id}.test`;

const LOST_NAMES: readonly { readonly id: string; readonly what: string; readonly answers: NameAnswer }[] = [
  { id: "name-unknown", what: "the origin's name does not exist", answers: "unknown" },
  { id: "name-empty", what: "the origin's name has no address", answers: [] },
  { id: "name-failing", what: "the name server fails", answers: "failing" },
  { id: "name-silent", what: "the name server does not answer in time", answers: "silent" },
];

const proxiesOf = (rows: readonly Row[]): Readonly<Record<string, ProxyFault>> =>
  Object.fromEntries(rows.map(({ id, fault }) => [domainOf(id), fault]));

/** For `LabOptions`. Harmless faults use long time-outs, so that a busy machine misses no deadline. */
export const NETWORK_PROXIES = {
  proxies: proxiesOf(ROWS.filter(({ expected }) => expected !== GOOD)),
  patientProxies: proxiesOf(ROWS.filter(({ expected }) => expected === GOOD)),
};

/** For `LabOptions`. */
export const NETWORK_NAMES = Object.fromEntries(LOST_NAMES.map(({ id, answers }) => [domainOf(id), { answers }]));

export const network: FaultGroup = {
  title: "Network and DNS",
  about: "The origin works, but the network or DNS fails. The good round uses another domain of the same bucket.",
  faults: [
    ...ROWS.map(({ fault: _, script = ({ picture }) => [response(picture)], ...row }) =>
      missFault({ ...row, script, host: domainOf(row.id), ...(row.expected.stored === "no" && { goodHost: PATIENT }) }),
    ),
    missFault({
      id: "refused",
      what: "no server listens on the origin's port",
      host: REFUSED,
      goodHost: PATIENT,
      script: ({ picture }) => [response(picture)],
      expected: { client: "424, -902", requests: 0, ...NOT_STORED },
    }),
    ...LOST_NAMES.map(({ id, what }) =>
      missFault({
        id,
        what,
        host: domainOf(id),
        goodHost: PATIENT,
        script: ({ picture }) => [response(picture)],
        expected: { client: "424, -902", requests: 0, ...NOT_STORED },
      }),
    ),
  ],
};
