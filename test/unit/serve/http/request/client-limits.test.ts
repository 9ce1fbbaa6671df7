import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import {
  type ClientLimitOptions,
  type ClientLimits,
  createClientLimits,
} from "../../../../../src/serve/http/request/client-limits.ts";

const from = (remoteAddress: string, forwarded?: string) => ({
  socket: { remoteAddress },
  headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
});

function lab(options: Partial<ClientLimitOptions> = {}) {
  let now = 1_000_000_000.25;
  const refusals: string[] = [];
  const limits = createClientLimits({
    requestsPerSecond: 2,
    rendersPerSecond: 0,
    burst: 2,
    trustedProxies: [],
    limited: (limit, client) => void refusals.push(`${limit} ${client}`),
    ticks: () => now,
    ...options,
  });
  if (limits === undefined) throw new Error("nothing is limited");
  return {
    limits,
    refusals,
    wait(ms: number) {
      now += ms;
    },
  };
}

/** `ok`, or the seconds of Retry-After. */
function ask({ countRequest }: Pick<ClientLimits, "countRequest">, ...request: Parameters<typeof from>) {
  try {
    countRequest(from(...request));
    return "ok";
  } catch (error) {
    if (!(error instanceof HuiyuanError) || error.code !== "rate_limited") throw error;
    return error.retryAfterSeconds;
  }
}

const times = (count: number, request: () => unknown) => Array.from({ length: count }, request);

test("createClientLimits() returns undefined if both rates are 0", () => {
  const off = { requestsPerSecond: 0, rendersPerSecond: 0, burst: 2, trustedProxies: [], limited() {} };
  expect(createClientLimits(off)).toBeUndefined();
});

test("countRequest() admits the burst at once, and then the rate", () => {
  const { limits, wait, refusals } = lab();
  expect(times(5, () => ask(limits, "192.0.2.1"))).toEqual(["ok", "ok", "ok", "ok", 1]);
  wait(499);
  expect(ask(limits, "192.0.2.1")).toBe(1);
  wait(2);
  expect(times(2, () => ask(limits, "192.0.2.1"))).toEqual(["ok", 1]);
  wait(60_000);
  expect(times(5, () => ask(limits, "192.0.2.1"))).toEqual(["ok", "ok", "ok", "ok", 1]);
  expect(refusals).toEqual(Array(4).fill("requests 192.0.2.1"));
});

test.each([
  [3, 2, 6],
  [0.1, 2, 1],
  [7, 0, 1],
  [1_000, 0.5, 500],
])("countRequest() with %d a second and burst %d admits %d at once", (requestsPerSecond, burst, admitted) => {
  const { limits } = lab({ requestsPerSecond, burst });
  expect(times(admitted + 1, () => ask(limits, "192.0.2.1")).filter((each) => each === "ok")).toHaveLength(admitted);
});

test("Retry-After is the time until the next request is admitted", () => {
  const { limits, wait } = lab({ requestsPerSecond: 0.1, burst: 1 });
  expect(times(2, () => ask(limits, "192.0.2.1"))).toEqual(["ok", 10]);
  wait(10_000);
  expect(ask(limits, "192.0.2.1")).toBe("ok");
});

test.each([
  ["an IPv4 address", "192.0.2.1", "192.0.2.1", true],
  ["another IPv4 address", "192.0.2.1", "192.0.2.2", false],
  ["an IPv4-mapped address", "192.0.2.1", "::ffff:192.0.2.1", true],
  ["another IPv4-mapped address", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false],
  ["another address of the /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true],
  ["another /64 of the /56", "2001:db8:1:2::1", "2001:db8:1:3::1", false],
])("%s counts for the same client or not", (_what, one, other, isSame) => {
  const { limits } = lab();
  times(4, () => ask(limits, one));
  expect(ask(limits, other)).toBe(isSame ? 1 : "ok");
});

test("X-Forwarded-For names the client only if a trusted proxy sent it", () => {
  const { limits } = lab({ trustedProxies: ["10.0.0.0/8"] });
  times(4, () => ask(limits, "10.0.0.1", "203.0.113.7"));
  expect(ask(limits, "10.0.0.2", "198.51.100.1, 203.0.113.7")).toBe(1);
  expect(ask(limits, "10.0.0.1", "203.0.113.8")).toBe("ok");
  expect(times(5, (_ = 0, index = 0) => ask(limits, "192.0.2.1", `203.0.113.${index}`)).at(-1)).toBe(1);
  const without = lab();
  expect(times(5, (_ = 0, index = 0) => ask(without.limits, "10.0.0.1", `203.0.113.${index}`)).at(-1)).toBe(1);
});

test("countRender() and countRequest() count apart", () => {
  const { limits, refusals } = lab({ requestsPerSecond: 1, rendersPerSecond: 1, burst: 1 });
  limits.countRequest(from("192.0.2.1"));
  limits.countRender(from("192.0.2.1"));
  expect(() => limits.countRender(from("192.0.2.1"))).toThrow(expect.objectContaining({ code: "rate_limited" }));
  expect(refusals).toEqual(["renders 192.0.2.1"]);
});

test("a flood of addresses makes room by the oldest, and a client that goes on stays limited", () => {
  const { limits, refusals } = lab();
  const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 0xff}.${index & 0xff}`;
  times(4, () => ask(limits, "192.0.2.1"));
  times(4, () => ask(limits, "192.0.2.2"));
  for (let index = 0; index < 66_000; index += 1) {
    ask(limits, address(index));
    if (index % 40_000 === 0) expect(ask(limits, "192.0.2.1")).toBe(1);
  }
  // The quiet one was forgotten and has a new burst; nobody was refused because of the others.
  expect(ask(limits, "192.0.2.2")).toBe("ok");
  expect(new Set(refusals)).toEqual(new Set(["requests 192.0.2.1"]));
});
