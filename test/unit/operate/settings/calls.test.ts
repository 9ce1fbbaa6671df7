// The calls of the settings file where there is none, as in `huiyuan try`.
import { expect, test } from "vitest";
import { SILENT_LOG } from "../../../../src/core/log.ts";
import { type ApiOptions, createApi } from "../../../../src/operate/api.ts";

const api = createApi({
  operated: { service: { registry: {} }, operations: { record() {} } },
  nextRequestId: () => "id",
  server: {},
  log: SILENT_LOG,
} as unknown as ApiOptions);

test("without a settings file GET /settings says why, and changes are refused with 403", async () => {
  const shown = await api.request("/api/v1/settings", {}, {});
  expect([shown.status, await shown.json()]).toEqual([
    200,
    expect.objectContaining({ isInForce: false, readOnly: expect.stringContaining("no settings file") }),
  ]);
  const edits = { version: "0".repeat(64), edits: [{ path: ["data"], value: "x" }] };
  const calls = { "/settings/propose": edits, "/settings/apply": edits, "/settings/keys/add": { appid: "1" } };
  for (const [path, body] of Object.entries(calls)) {
    const headers = { "content-type": "application/json" };
    const answer = await api.request(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) }, {});
    expect([path, answer.status, await answer.json()]).toEqual([
      path,
      403,
      { code: -103, message: expect.stringContaining("no settings file"), requestId: "id" },
    ]);
  }
});
