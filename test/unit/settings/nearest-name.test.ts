import { expect, test } from "vitest";
import { nearestName } from "../../../src/settings/faults.ts";

const KNOWN = ["host", "port", "adminHost", "adminPort", "adminToken", "origins", "allowPrivate"];

test.each([
  ["orgins", "origins"],
  ["origin", "origins"],
  ["adminport", "adminPort"],
  ["admin-token", "adminToken"],
  ["allow_private", "allowPrivate"],
  ["hots", undefined],
  ["hosts", "host"],
  ["colour", undefined],
  ["", undefined],
])("nearestName() of %s is %s", (name, expected) => {
  expect(nearestName(name, KNOWN)).toBe(expected);
});
