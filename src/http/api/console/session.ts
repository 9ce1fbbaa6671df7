// Admin API calls of a browser's login: its state, login with the admin token, logout. admin/access.ts keeps sessions.
import type { Access } from "../../admin/access.ts";
import type { Calls } from "../calls.ts";
import { invalid, text } from "../input.ts";
import { sessionAnswer } from "../openapi/console-answers.ts";

/** `access` undefined: a command runs without a server. */
export function addSessionCalls(calls: Calls, given: Access | undefined): void {
  const access = () => given ?? refuseAll();
  const answer = { json: sessionAnswer };
  calls.get(
    "/session",
    { summary: "Whether this browser may make calls; needs no token", fields: {}, answer },
    (context) => context.json(access().stateOf(context)),
  );
  calls.post(
    "/session",
    {
      summary: "Log this browser in with the admin token, and set its cookie",
      fields: { token: text().describe("`server.adminToken`.") },
      answer,
    },
    (context, { token }) => access().login(context, token),
  );
  calls.post("/session/end", { summary: "Log this browser out", fields: {}, answer }, (context) =>
    context.json(access().logout(context)),
  );
}

function refuseAll(): never {
  throw invalid("only a server that `huiyuan serve` runs has sessions");
}
