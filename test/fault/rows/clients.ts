// Rows about clients of an uncached key: they disconnect, request ranges, or arrive all at once.
import { head, response } from "../../helpers/scripted-origin.ts";
import type { FaultGroup } from "../fault.ts";
import { halfOf, type Lab, lengthHead, tell } from "../lab.ts";
import { type MissFault, missFault, NOT_STORED, STORED } from "./misses.ts";

const inHalves: MissFault["script"] = ({ picture }) => [
  lengthHead(picture.length),
  halfOf(picture),
  "CLIENT HAS HEAD",
  { pause: 50 },
  picture.subarray(halfOf(picture).length),
];

function range(text: string, part: (picture: Buffer) => Buffer): Pick<MissFault, "script" | "ask"> {
  return {
    script: ({ picture }) => [response(picture)],
    ask: async (lab, path) => tell(await lab.get({ path, headers: { Range: text } }), part(lab.picture)),
  };
}

const ONE = { requests: 1, ...STORED } as const;

/** Sends all requests at once; returns each different result once, with its count. */
async function crowd(lab: Lab, path: string, count: number): Promise<string> {
  const seen = await Promise.all(Array.from({ length: count }, () => lab.get({ path })));
  const results = seen.map((each) => tell(each, lab.picture));
  return [...new Set(results)].map((text) => `${results.filter((each) => each === text).length} × ${text}`).join("; ");
}

const ROWS: readonly MissFault[] = [
  {
    id: "client-leaves",
    what: "the client leaves at 10 %",
    script: inHalves,
    ask: async (lab, path) => {
      const seen = await lab.get({ path, leaveAfter: lab.picture.length / 10 });
      return `${seen.status} left`;
    },
    expected: { client: "200 left", ...ONE },
  },
  {
    id: "range-first",
    what: "Range: bytes=0-99 on a cold key",
    ...range("bytes=0-99", (picture) => picture.subarray(0, 100)),
    expected: { client: "206 whole", ...ONE },
  },
  {
    id: "range-suffix",
    what: "Range: bytes=-100 on a cold key",
    ...range("bytes=-100", (picture) => picture.subarray(-100)),
    expected: { client: "206 whole", ...ONE },
  },
  {
    id: "range-outside",
    what: "a Range behind the end, on a cold key",
    ...range("bytes=9999999-", (picture) => picture),
    expected: { client: "416, -124", ...ONE },
  },
  {
    id: "range-of-cut",
    what: "a Range in the half that never arrives",
    script: ({ picture }) => [lengthHead(picture.length), halfOf(picture), { pause: 50 }, "FIN"],
    ask: async (lab, path) => tell(await lab.get({ path, headers: { Range: "bytes=-100" } }), lab.picture),
    expected: { client: "424, -120", requests: 1, ...NOT_STORED },
  },
  {
    id: "head-cold",
    what: "HEAD on a cold key",
    script: ({ picture }) => [lengthHead(picture.length)],
    ask: async (lab, path) => {
      const seen = await lab.get({ path, method: "HEAD" });
      return `${seen.status}, length ${Number(seen.headers["content-length"]) === lab.picture.length ? "right" : "WRONG"}`;
    },
    expected: { client: "200, length right", requests: 1, ...NOT_STORED },
  },
  {
    id: "head-refused",
    what: "HEAD on a cold key, and the origin knows no HEAD",
    script:
      ({ picture }) =>
      async (request, connection) =>
        connection.send(
          request.method === "HEAD" ? head("405 Method Not Allowed", [["Content-Length", "0"]]) : response(picture),
        ),
    ask: async (lab, path) => `${(await lab.get({ path, method: "HEAD" })).status}`,
    expected: { client: "200", requests: 2, ...STORED },
  },
  {
    id: "fifty",
    what: "50 clients on a cold key, the origin takes 1 s",
    script: ({ picture }) => [{ pause: 1_000 }, response(picture)],
    ask: (lab, path) => crowd(lab, path, 50),
    expected: { client: "50 × 200 whole", ...ONE },
  },
  {
    id: "fifty-broken",
    what: "50 clients on a cold key, the origin takes 0.5 s and answers 500",
    script: () => [{ pause: 500 }, response("oops", { status: "500 Oops" })],
    ask: (lab, path) => crowd(lab, path, 50),
    expected: { client: "50 × 424, -120", requests: 1, ...NOT_STORED },
  },
];

export const clients: FaultGroup = {
  title: "Clients on a cold key",
  about: "The origin works unless the row says otherwise; it never receives a Range header.",
  faults: ROWS.map(missFault),
};
