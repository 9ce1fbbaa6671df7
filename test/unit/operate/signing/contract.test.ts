import { expect, test } from "vitest";
import { signUrl } from "../../../../src/operate/signing/contract.ts";
import { MAX_LIFE_SECONDS } from "../../../../src/serve/sign/token.ts";

test("the admin API signs for as long as a token may live, and no longer", () => {
  const { expiresIn } = signUrl.fields;
  expect(expiresIn.parse(MAX_LIFE_SECONDS)).toBe(MAX_LIFE_SECONDS);
  expect(expiresIn.safeParse(MAX_LIFE_SECONDS + 1).success).toBe(false);
});
