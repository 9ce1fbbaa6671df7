// Which failure lets the next origin be asked, and in which order they are.
import { describe, expect, test } from "vitest";
import { ERROR_CODES, type ErrorCode, HuiyuanError } from "../../../src/errors.ts";
import { failsOver, fetchInOrder } from "../../../src/mirror/failover.ts";
import { absent, failing, fakeOrigin, image } from "../../helpers/fake-origins.ts";
import { ask } from "../../helpers/site-under-test.ts";

// A new code of the table is not failed over unless it is named here and there.
const CONNECT_OR_TIMEOUT: readonly ErrorCode[] = [
  "origin_timeout",
  "origin_refused",
  "origin_reset",
  "origin_tls",
  "origin_name_unknown",
  "origin_dns_timeout",
  "origin_dns_failed",
];

test.each(ERROR_CODES.map((code) => [code, CONNECT_OR_TIMEOUT.includes(code)] as const))(
  "failsOver() of %s without a status is %s",
  (code, expected) => {
    expect(failsOver(new HuiyuanError(code, "a failure"))).toBe(expected);
  },
);

test.each([
  [400, false],
  [403, false],
  [429, false],
  [499, false],
  [500, true],
  [503, true],
  [599, true],
] as const)("failsOver() of origin_status %i is %s", (originStatus, expected) => {
  expect(failsOver(new HuiyuanError("origin_status", "a failure", { originStatus }))).toBe(expected);
});

describe("fetchInOrder()", () => {
  const bytes = Buffer.from("bytes");

  test("asks the next origin after a failure that fails over, and no further than an answer", async () => {
    const origins = [
      fakeOrigin(failing("origin_refused")),
      fakeOrigin(failing("origin_status", { originStatus: 502 })),
      fakeOrigin(image(bytes)),
      fakeOrigin(image(bytes)),
    ];
    const answer = await fetchInOrder(origins, ask("a.jpg"));
    expect(answer?.size).toBe(bytes.byteLength);
    expect(origins.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 0]);
  });

  test("takes an absence for an answer", async () => {
    const origins = [fakeOrigin(absent), fakeOrigin(image(bytes))];
    expect(await fetchInOrder(origins, ask("a.jpg"))).toBeUndefined();
    expect(origins[1]?.requests).toHaveLength(0);
  });

  test("stops at a failure that does not fail over", async () => {
    const origins = [fakeOrigin(failing("origin_status", { originStatus: 403 })), fakeOrigin(image(bytes))];
    await expect(fetchInOrder(origins, ask("a.jpg"))).rejects.toMatchObject({ code: "origin_status" });
    expect(origins[1]?.requests).toHaveLength(0);
  });

  test("throws the last origin's failure when all have failed", async () => {
    const origins = [fakeOrigin(failing("origin_refused")), fakeOrigin(failing("origin_timeout"))];
    await expect(fetchInOrder(origins, ask("a.jpg"))).rejects.toMatchObject({ code: "origin_timeout" });
  });

  test("asks nobody else once it is aborted", async () => {
    const stopping = new AbortController();
    const first = fakeOrigin((request) => {
      stopping.abort();
      return failing("origin_reset")(request);
    });
    const second = fakeOrigin(image(bytes));
    await expect(fetchInOrder([first, second], ask("a.jpg", { signal: stopping.signal }))).rejects.toMatchObject({
      code: "origin_reset",
    });
    expect(second.requests).toHaveLength(0);
  });

  test("throws internal where there is no origin", async () => {
    await expect(fetchInOrder([], ask("a.jpg"))).rejects.toMatchObject({ code: "internal" });
  });
});
