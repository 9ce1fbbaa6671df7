// Rows about bytes that an origin sends after a response on a reused connection. Each row has its own domain with one
// connection.

import { eventually } from "../../helpers/program.ts";
import { head, response } from "../../helpers/scripted-origin.ts";
import type { Fault, FaultGroup } from "../fault.ts";
import { type Lab, type LabAnswer, tell } from "../lab.ts";

interface Row {
  readonly id: string;
  readonly what: string;
  /** Sent in one piece with the first response. */
  readonly behind?: (lab: Lab) => Uint8Array;
  /** Sent after the second request has arrived, before its response. */
  readonly before?: (lab: Lab) => Uint8Array;
  readonly client: string;
}

const ROWS: readonly Row[] = [
  {
    id: "surplus-body-at-once",
    what: "a body beyond Content-Length, in one piece with the first response",
    behind: ({ picture }) => picture,
    client: "200 whole; 200 whole",
  },
  {
    id: "surplus-answer-at-once",
    what: "a second response with another image, in one piece with the first",
    behind: ({ picture }) => response(picture),
    client: "200 whole; 200 whole",
  },
  {
    id: "surplus-body-late",
    what: "a body without a head, after the next request was sent",
    before: ({ picture }) => picture,
    client: "200 whole; 200 whole",
  },
  {
    id: "surplus-answer-late",
    what: "a second response with another image, after the next request was sent",
    before: ({ picture }) => response(picture),
    client: "200 whole; 200 whole, WRONG BYTES",
  },
  {
    id: "surplus-error-late",
    what: "a second response of 500, after the next request was sent",
    before: () => head("500 Oops", [["Content-Length", "0"]]),
    client: "200 whole; 424, -120",
  },
];

const hostOf = (id: string) => `${id}.test`;

/** For `LabOptions`. */
export const SURPLUS_DOMAINS = ROWS.map(({ id }) => hostOf(id));

async function observe(lab: Lab, { id, behind, before }: Row) {
  const host = hostOf(id);
  const [first, second] = [`/${id}-1.jpg`, `/${id}-2.jpg`];
  const answer = response(lab.smallPicture);
  let tookSurplus = () => {};
  const hasSurplus = new Promise<void>((resolve) => {
    tookSurplus = resolve;
  });
  const trueAnswer = response(lab.otherPicture);
  const late: LabAnswer = async (_request, connection) => {
    if (before !== undefined) await connection.send(before(lab));
    // Bytes that are no response end the connection; the others are taken for this response.
    if (before !== undefined) await Promise.race([hasSurplus, connection.hang()]);
    await connection.send(trueAnswer);
  };
  lab.script(first, [behind === undefined ? answer : Buffer.concat([answer, behind(lab)])]);
  lab.script(second, { inTurn: [late, [trueAnswer]] });
  const one = tell(await lab.get({ path: first, host }), lab.smallPicture);
  const other = tell(await lab.get({ path: second, host }), lab.otherPicture);
  tookSurplus();
  let again = "";
  await eventually(async () => {
    again = tell(await lab.get({ path: second, host }), lab.otherPicture);
    return again === "200 whole";
  }, `${second} is right when it is asked again`);
  return { client: `${one}; ${other}`, again };
}

export const surplus: FaultGroup = {
  title: "Unexpected bytes on a reused connection",
  about:
    "The origin sends extra bytes after a response on a reused connection; the client requests two images in sequence. A well-formed response that arrives after the next request was sent looks like that request's response. It is removed if a later event reveals it: the true response, or a reset of the idle connection. If the connection just ends after it, nothing reveals it.",
  faults: ROWS.map(
    (row): Fault => ({
      id: row.id,
      what: row.what,
      expected: { client: row.client, again: "200 whole" },
      observe: (lab) => observe(lab, row),
    }),
  ),
};
