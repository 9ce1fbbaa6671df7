// Which failures make the next origin be tried, and the order of the origins.
import { describe, expect, test } from "vitest";
import { type ErrorCode, HuiyuanError } from "../../../../../src/core/errors.ts";
import {
  type Candidate,
  createFailover,
  type FailoverCause,
  failsOver,
} from "../../../../../src/serve/mirror/fill/failover.ts";
import { absent, arriving, failing, fakeOrigin, image } from "../../../../helpers/fake-origins.ts";
import { ask } from "../../../../helpers/site-under-test.ts";

const DEFAULT: readonly FailoverCause[] = ["5xx", "timeout", "connect"];
const bytes = Buffer.from("bytes");

test.each([
  [undefined, DEFAULT, false],
  ["connect", DEFAULT, true],
  ["timeout", DEFAULT, true],
  [500, DEFAULT, true],
  [599, DEFAULT, true],
  [404, DEFAULT, false],
  [429, DEFAULT, false],
  [499, DEFAULT, false],
  [302, DEFAULT, false],
  ["connect", [], false],
  ["timeout", ["connect"], false],
  [404, [404], true],
  [403, [404], false],
  [404, ["4xx"], true],
  [429, [429], true],
  [500, ["4xx", 503], false],
  [503, ["4xx", 503], true],
] as const)("failsOver(%j, %j) is %s", (kind, causes, expected) => {
  expect(failsOver(kind, causes)).toBe(expected);
});

/** A failover over `origins` in the listed order. */
function inOrder(origins: readonly Candidate["origin"][], failoverOn = DEFAULT) {
  return createFailover({ candidates: origins.map((origin) => ({ origin })), failoverOn, random: () => 0 });
}

describe("createFailover()", () => {
  test("tries the next origin after a failure that fails over, and stops at an answer", async () => {
    const origins = [
      fakeOrigin(failing("origin_refused")),
      fakeOrigin(failing("origin_status", { originStatus: 502 })),
      fakeOrigin(image(bytes)),
      fakeOrigin(image(bytes)),
    ];
    let further = 0;
    const failover = createFailover({
      candidates: origins.map((origin) => ({ origin })),
      failoverOn: DEFAULT,
      random: () => 0,
      onFailover: () => {
        further += 1;
      },
    });
    const answer = await failover.fetch(ask("a.jpg"));
    expect(answer).toMatchObject({ size: bytes.byteLength });
    expect(origins.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 0]);
    expect(further).toBe(2);
  });

  test("treats an absence as an answer", async () => {
    const origins = [fakeOrigin(absent), fakeOrigin(image(bytes))];
    expect(await inOrder(origins).fetch(ask("a.jpg"))).toBeUndefined();
    expect(origins[1]?.requests).toHaveLength(0);
  });

  test.each([[[404] as const], [["4xx"] as const]])(
    "tries the next origin after an absence with %j",
    async (causes) => {
      const found = await inOrder([fakeOrigin(absent), fakeOrigin(image(bytes))], causes).fetch(ask("a.jpg"));
      expect(found).toMatchObject({ size: bytes.byteLength });
      expect(await inOrder([fakeOrigin(absent), fakeOrigin(absent)], causes).fetch(ask("a.jpg"))).toBeUndefined();
    },
  );

  test.each([
    ["an absence behind a failure", DEFAULT, [failing("origin_refused"), absent]],
    ["a failure behind an absence", [404, "connect"] as const, [absent, failing("origin_refused")]],
    ["an absence behind an origin that is left alone", [] as const, [failing("origin_failing"), absent]],
  ])("never reports an absence for %s", async (_, causes, replies) => {
    const failover = inOrder(
      replies.map((reply) => fakeOrigin(reply)),
      causes,
    );
    await expect(failover.fetch(ask("a.jpg"))).rejects.toMatchObject({ code: /origin_(refused|failing)/ });
  });

  test.each<[ErrorCode, object]>([
    ["origin_status", { originStatus: 403 }],
    ["origin_busy", { originStatus: 429 }],
    ["origin_redirect", {}],
    ["origin_blocked", {}],
    ["overloaded", {}],
    ["draining", {}],
  ])("stops at %s %j", async (code, details) => {
    const next = fakeOrigin(image(bytes));
    await expect(inOrder([fakeOrigin(failing(code, details)), next]).fetch(ask("a.jpg"))).rejects.toMatchObject({
      code,
    });
    expect(next.requests).toHaveLength(0);
  });

  test("skips an origin that is refused for now, whatever failoverOn says", async () => {
    const answer = await inOrder([fakeOrigin(failing("origin_failing")), fakeOrigin(image(bytes))], []).fetch(
      ask("a.jpg"),
    );
    expect(answer).toMatchObject({ size: bytes.byteLength });
  });

  test("throws the failure of the last origin when all have failed", async () => {
    const origins = [fakeOrigin(failing("origin_refused")), fakeOrigin(failing("origin_timeout"))];
    await expect(inOrder(origins).fetch(ask("a.jpg"))).rejects.toMatchObject({ code: "origin_timeout" });
  });

  test("tries no other origin once it is aborted", async () => {
    const stopping = new AbortController();
    const first = fakeOrigin((request) => {
      stopping.abort();
      return failing("origin_reset")(request);
    });
    const second = fakeOrigin(image(bytes));
    await expect(inOrder([first, second]).fetch(ask("a.jpg", { signal: stopping.signal }))).rejects.toMatchObject({
      code: "origin_reset",
    });
    expect(second.requests).toHaveLength(0);
  });

  const MAY = "Fri, 01 May 2026 00:00:00 GMT";
  const JUNE = "Mon, 01 Jun 2026 00:00:00 GMT";
  test.each([
    ["an older image of a standby for not modified", { lastModified: MAY }, JUNE, true, true],
    ["one of the same date for new", { lastModified: JUNE }, JUNE, true, false],
    ["a newer one for new", { lastModified: JUNE }, MAY, true, false],
    ["one without a date for new", {}, JUNE, true, false],
    ["one with a date that cannot be read for new", { lastModified: "5" }, JUNE, true, false],
    ["an older one for new, where the stored one has no date", { lastModified: MAY }, undefined, true, false],
    ["an older one of an origin that is no standby for new", { lastModified: MAY }, JUNE, false, false],
  ])("handles %s", async (_what, facts, lastModified, isStandby, isNotModified) => {
    const body = arriving({ etag: '"old"', life: { cacheControl: "max-age=9" }, ...facts });
    const candidates = [
      { origin: fakeOrigin(failing("origin_refused")) },
      { origin: fakeOrigin(body.reply), isStandby },
    ];
    const failover = createFailover({ candidates, failoverOn: DEFAULT, random: () => 0 });
    const answer = await failover.fetch(ask("a.jpg", { unless: { etag: '"new"', lastModified } }));
    expect(answer).toMatchObject({ isNotModified, etag: isNotModified ? undefined : '"old"', headMs: 7 });
    expect(answer?.life).toEqual({ cacheControl: "max-age=9" });
    expect(body.isDestroyed).toBe(isNotModified);
  });

  test("handles an older image of a sole standby for not modified", async () => {
    const body = arriving({ lastModified: MAY });
    const candidates = [{ origin: fakeOrigin(body.reply), isStandby: true }];
    const failover = createFailover({ candidates, failoverOn: DEFAULT, random: () => 0 });
    const unless = { etag: '"new"', lastModified: JUNE };
    expect(await failover.fetch(ask("a.jpg", { unless }))).toMatchObject({ isNotModified: true });
  });

  test("throws internal without an origin", () => {
    expect(() => inOrder([])).toThrow(expect.objectContaining({ code: "internal" }));
  });
});

describe("the order", () => {
  /** The names in the order in which they are tried when all fail. */
  async function order(
    random: () => number,
    candidates: readonly (Omit<Candidate, "origin"> & { readonly name: string })[],
  ): Promise<string> {
    const asked: string[] = [];
    const failover = createFailover({
      candidates: candidates.map(({ name, ...rest }) => ({
        ...rest,
        origin: fakeOrigin((request) => {
          asked.push(name);
          return failing("origin_refused")(request);
        }),
      })),
      failoverOn: DEFAULT,
      random,
    });
    await expect(failover.fetch(ask("a.jpg"))).rejects.toMatchObject({ code: "origin_refused" });
    return asked.join("");
  }

  test("is the listed one without weights, standbys last", async () => {
    const candidates = [{ name: "s", isStandby: true }, { name: "a" }, { name: "t", isStandby: true }, { name: "b" }];
    expect(await order(() => 0.99, candidates)).toBe("abst");
  });

  test.each([
    [0, "abc"],
    [0.39, "abc"],
    [0.41, "bac"],
    [0.79, "bca"],
    [0.81, "cba"],
    [0.999_999_999, "cba"],
  ])("is drawn by weights 4, 4, 2 with %d", async (point, expected) => {
    const candidates = [
      { name: "a", weight: 4 },
      { name: "b", weight: 4 },
      { name: "c", weight: 2 },
    ];
    expect(await order(() => point, candidates)).toBe(expected);
  });

  test("keeps origins without a weight in their listed places", async () => {
    const candidates = [{ name: "a", weight: 1 }, { name: "x" }, { name: "b", weight: 1 }, { name: "y", weight: 0 }];
    expect(await order(() => 0, candidates)).toBe("axby");
    expect(await order(() => 0.99, candidates)).toBe("bxay");
  });

  test("puts no standby before a primary, however heavy", async () => {
    const candidates = [
      { name: "s", weight: 1_000, isStandby: true },
      { name: "a", weight: 1 },
    ];
    for (const point of [0, 0.5, 0.999]) expect(await order(() => point, candidates)).toBe("as");
  });

  test("gives each primary its share", async () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const counts = { a: 0, b: 0 };
    const failover = createFailover({
      candidates: (["a", "b"] as const).map((name, index) => ({
        origin: fakeOrigin(() => {
          counts[name] += 1;
          return undefined;
        }),
        weight: index === 0 ? 3 : 1,
      })),
      failoverOn: DEFAULT,
      random,
    });
    for (let round = 0; round < 4_000; round += 1) await failover.fetch(ask("a.jpg"));
    expect(counts.a / 4_000).toBeCloseTo(0.75, 1);
    expect(counts.a + counts.b).toBe(4_000);
  });
});

describe("refusal()", () => {
  const refusing = (code: ErrorCode, originStatus = 503) => ({
    ...fakeOrigin(image(bytes)),
    refusal: () => new HuiyuanError(code, "left alone", { originStatus }),
  });
  const willing = fakeOrigin(image(bytes));

  test.each([
    ["nobody is left alone", [willing, willing], undefined],
    ["the first is", [refusing("origin_failing"), willing], undefined],
    ["the second is", [willing, refusing("origin_failing")], undefined],
    ["both are", [refusing("origin_failing"), refusing("origin_busy")], "origin_busy"],
    ["the first is for a status that does not fail over", [refusing("origin_busy", 429), willing], "origin_busy"],
  ])("where %s", (_, origins, expected) => {
    expect(inOrder(origins).refusal?.()?.code).toBe(expected);
  });
});
