// Tests requests to a site with more than a key: another path, a query, headers, redirects that are not followed,
// conditions.
import { afterEach, describe, expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import { createFailover } from "../../../../../src/serve/mirror/fill/failover.ts";
import { failing, fakeOrigin } from "../../../../helpers/fake-origins.ts";
import { head, response, type ScriptedOrigin, startScriptedOrigin } from "../../../../helpers/scripted-origin.ts";
import { ask, fetchWhole, siteAt } from "../../../../helpers/site-under-test.ts";

let server: ScriptedOrigin;
afterEach(() => server.close());

test("fetch() requests the given path and query below the base", async () => {
  server = await startScriptedOrigin({ "*": [response("x")] });
  const { answer } = await fetchWhole(siteAt(`${server.url}/base`), "key", {
    path: toKey("other/a?b"),
    query: "v=1&w",
  });
  expect(server.requests[0]?.target).toBe("/base/other/a%3Fb?v=1&w");
  expect(answer.url).toBe(`${server.url}/base/other/a%3Fb`);
});

test("fetch() sends added headers to the configured host only, and never framing, Via or CDN-Loop among them", async () => {
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

test("fetch() throws origin_moved with status and location if redirects are not followed", async () => {
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

describe("a 304 to the entity tag of the stored object", () => {
  const DATE = "Wed, 01 Jan 2020 00:00:00 GMT";
  const conditions = () =>
    server.requests.map(({ headers }) => [headers["if-none-match"], headers["if-modified-since"]]);
  const start = async (tag: string | undefined, second: Buffer = response("new", { headers: { ETag: '"2"' } })) => {
    const told: [string, string][] = tag === undefined ? [] : [["ETag", tag]];
    const first = head("304 Not Modified", told);
    server = await startScriptedOrigin((_request, connection) =>
      connection.send(server.requests.length === 1 ? first : second),
    );
  };

  test.each([
    ['"1"', undefined],
    ['"1"', '"1"'],
    ['"1"', 'W/"1"'],
    ['W/"1"', '"1"'],
    [undefined, '"2"'],
  ])("%s confirms it if the response names %s", async (etag, told) => {
    await start(told);
    const answer = await siteAt(server.url).fetch(ask("a", { unless: { etag, lastModified: DATE } }));
    expect(answer).toMatchObject({ isNotModified: true, etag: told });
    expect(server.requests).toHaveLength(1);
  });

  // RFC 9111 §4.3.4: no stored response has that tag, so the 304 is about none of them.
  test.each(['"2"', 'W/"2"', '"1'])(
    "does not count if it names %s: the request is repeated without conditions",
    async (told) => {
      await start(told);
      const { answer, bytes } = await fetchWhole(siteAt(server.url), "a", {
        unless: { etag: '"1"', lastModified: DATE },
      });
      expect([answer.etag, bytes.toString()]).toEqual(['"2"', "new"]);
      expect(conditions()).toEqual([
        ['"1"', DATE],
        [undefined, undefined],
      ]);
    },
  );

  test("is checked for a standby too, whose older image then does not replace a newer one", async () => {
    const older = { ETag: '"0"', "Last-Modified": "Tue, 31 Dec 2019 00:00:00 GMT" };
    await start('"0"', response("old", { headers: older }));
    const down = fakeOrigin(failing("origin_refused"));
    const candidates = [{ origin: down }, { origin: siteAt(server.url), isStandby: true }];
    const failover = createFailover({ candidates, failoverOn: ["connect"], random: () => 0 });
    const answer = await failover.fetch(ask("a", { unless: { etag: '"1"', lastModified: DATE } }));
    expect(answer).toMatchObject({ isNotModified: true, etag: undefined });
    expect(server.requests).toHaveLength(2);
  });

  test("is an error without conditions in the request, and is not retried for ever", async () => {
    await start('"2"', head("304 Not Modified", [["ETag", '"2"']]));
    const asking = siteAt(server.url).fetch(ask("a", { unless: { etag: '"1"', lastModified: undefined } }));
    await expect(asking).rejects.toMatchObject({ code: "origin_unexpected", originStatus: 304 });
    expect(server.requests).toHaveLength(2);
  });
});
