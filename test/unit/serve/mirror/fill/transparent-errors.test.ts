// Which statuses of an origin a client may see, and that it sees nothing else of the answer.
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createFailover, transparentStatus } from "../../../../../src/serve/mirror/fill/failover.ts";
import type { Origin } from "../../../../../src/serve/origin/origin.ts";
import { failing, fakeOrigin } from "../../../../helpers/fake-origins.ts";
import { ask } from "../../../../helpers/site-under-test.ts";

test.each([
  [undefined, undefined],
  [200, undefined],
  [206, undefined],
  [302, undefined],
  [304, undefined],
  [399, undefined],
  [400, 400],
  [401, 401],
  [403, 403],
  [404, undefined],
  [407, undefined],
  [410, undefined],
  [418, 418],
  [429, 429],
  [499, 499],
  [500, 500],
  [503, 503],
  [599, 599],
  [600, undefined],
  [999, undefined],
])("transparentStatus(%s) is %s", (originStatus, expected) => {
  expect(transparentStatus(originStatus)).toBe(expected);
});

const transparent = (origin: Origin) =>
  createFailover({ candidates: [{ origin }], failoverOn: [], random: () => 0, isTransparent: true });

test("a transparent failover adds the status and keeps the rest of the error", async () => {
  const details = { originStatus: 503, retryAfterSeconds: 7 };
  const origin = transparent(fakeOrigin(failing("origin_status", details)));
  await expect(origin.fetch(ask("a.jpg"))).rejects.toMatchObject({
    code: "origin_status",
    answerStatus: 503,
    ...details,
  });
});

test("a transparent failover adds the last status of an origin that is refused for now", () => {
  const refusal = () => new HuiyuanError("origin_busy", "left alone", { originStatus: 429, retryAfterSeconds: 3 });
  const origin = transparent({ ...fakeOrigin(), refusal });
  expect(origin.refusal?.()).toMatchObject({ code: "origin_busy", answerStatus: 429, retryAfterSeconds: 3 });
});

test("a transparent failover does not change failures without a status", async () => {
  const origin = transparent(fakeOrigin(failing("origin_timeout")));
  await expect(origin.fetch(ask("a.jpg"))).rejects.toMatchObject({ code: "origin_timeout", answerStatus: undefined });
  expect(origin.refusal?.()).toBeUndefined();
});
