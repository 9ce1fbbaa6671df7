// What a rule asks of a site beside the key: another path, a query, headers, and redirects that are not followed.
import { afterEach, expect, test } from "vitest";
import { toKey } from "../../../src/object.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../../helpers/scripted-origin.ts";
import { ask, fetchWhole, siteAt } from "../../helpers/site-under-test.ts";

let server: ScriptedOrigin;
afterEach(() => server.close());

test("fetch() asks for the path and the query that it is told, below the base", async () => {
  server = await startScriptedOrigin({ "*": [response("x")] });
  const { answer } = await fetchWhole(siteAt(`${server.url}/base`), "key", {
    path: toKey("other/a?b"),
    query: "v=1&w",
  });
  expect(server.requests[0]?.target).toBe("/base/other/a%3Fb?v=1&w");
  expect(answer.url).toBe(`${server.url}/base/other/a%3Fb`);
});

test("fetch() sends added headers to the configured host alone, and never framing or marks among them", async () => {
  const other = await startScriptedOrigin({ "*": [response("x")] }, { host: "127.0.0.2" });
  server = await startScriptedOrigin({
    "*": [response("", { status: "302 Found", headers: { Location: `${other.url}/b` } })],
  });
  try {
    const headers = {
      "x-a": "1",
      "user-agent": "browser",
      host: "evil",
      via: "1.1 x",
      range: "bytes=0-1",
      "x-b": "\u00e9",
    };
    await fetchWhole(siteAt(server.url, { classify: () => "public" }), "a", { headers });
    const [first] = server.requests;
    expect(first?.headers).toMatchObject({ "x-a": "1", "user-agent": "browser", via: "1.1 huiyuan-test" });
    expect([first?.headers.host, first?.headers.range, first?.headers["x-b"]]).toEqual([
      `127.0.0.1:${server.port}`,
      undefined,
      undefined,
    ]);
    expect(other.requests[0]?.headers["x-a"]).toBeUndefined();
  } finally {
    await other.close();
  }
});

test("fetch() throws origin_moved with status and place where redirects are not followed", async () => {
  const Location = "https://pictures.example.com/a b.jpg?x=1";
  server = await startScriptedOrigin({ "*": [response("", { status: "307 Away", headers: { Location } })] });
  const error = await siteAt(server.url)
    .fetch(ask("a", { followsRedirects: false }))
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: "origin_moved",
    originStatus: 307,
    location: "https://pictures.example.com/a%20b.jpg?x=1",
  });
  expect(server.requests).toHaveLength(1);
});
