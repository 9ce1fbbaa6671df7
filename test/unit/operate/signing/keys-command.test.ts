import { expect, test } from "vitest";
import { parse } from "yaml";
import { keysCommand } from "../../../../src/operate/signing/command.ts";
import { run } from "../../../helpers/run-command.ts";

test("keys new --json prints a new pair every time", async () => {
  const [one, other] = await Promise.all([run(keysCommand, ["new", "--json"]), run(keysCommand, ["new", "--json"])]);
  const pair = JSON.parse(one.out) as Record<string, string>;
  expect(Object.keys(pair)).toEqual(["secretId", "secretKey"]);
  expect(pair.secretId).toMatch(/^AKID[A-Za-z0-9]{32}$/);
  expect(pair.secretKey).toMatch(/^[A-Za-z0-9]{43}$/);
  expect(other.out).not.toBe(one.out);
});

test("keys new prints YAML for the settings file", async () => {
  const { out } = await run(keysCommand, ["new"]);
  const yaml = out.slice(out.indexOf("    keys:"));
  expect(parse(yaml)).toEqual({
    keys: [{ secretId: out.match(/SecretID +(\S+)/)?.[1], secretKey: out.match(/SecretKey +(\S+)/)?.[1] }],
  });
});

test("keys without a subcommand is wrong usage", async () => {
  const { error, err } = await run(keysCommand, []);
  expect(error?.name).toBe("CommanderError");
  expect(err).toContain("Usage: keys");
});
