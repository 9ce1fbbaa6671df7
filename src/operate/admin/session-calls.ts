// Admin API calls of a browser's login: its state, login with the admin token, logout. admin/access.ts keeps sessions.
import type { Access } from "./access.ts";
import type { Calls } from "./calls.ts";
import { text } from "./input.ts";
import { sessionAnswer } from "./openapi/console-answers.ts";

export function addSessionCalls(calls: Calls, access: Access): void {
  const answer = { json: sessionAnswer };
  calls.get(
    "/session",
    { summary: "Whether this browser may make calls; needs no token", fields: {}, answer },
    (context) => context.json(access.stateOf(context)),
  );
  calls.post(
    "/session",
    {
      summary: "Log this browser in with the admin token, and set its cookie",
      fields: { token: text().describe("`server.adminToken`.") },
      answer,
    },
    (context, { token }) => access.login(context, token),
  );
  calls.post("/session/end", { summary: "Log this browser out", fields: {}, answer }, (context) =>
    context.json(access.logout(context)),
  );
}
