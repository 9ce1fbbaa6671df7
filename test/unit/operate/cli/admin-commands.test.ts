import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { callbacksCommand } from "../../../../src/operate/callbacks/command.ts";
import { shown } from "../../../../src/operate/cli/terminal.ts";
import {
  deleteCommand,
  purgeCommand,
  undeleteCommand,
} from "../../../../src/operate/images/commands/change-objects.ts";
import { lsCommand, statCommand } from "../../../../src/operate/images/commands/show-objects.ts";
import { logCommand } from "../../../../src/operate/operations/command.ts";
import { run } from "../../../helpers/run-command.ts";

test.each([lsCommand, statCommand, deleteCommand, undeleteCommand, purgeCommand])(
  "%o shows examples with --help",
  async (create) => {
    const { out } = await run(create, ["--help"]);
    expect(out).toMatch(/Examples:\n {2}huiyuan /);
  },
);

test.each([
  { create: deleteCommand, args: [], says: "name the objects" },
  { create: purgeCommand, args: ["a.jpg", "--prefix", "a"], says: "name the objects" },
  { create: undeleteCommand, args: ["--prefix", "a"], says: "unknown option" },
  { create: deleteCommand, args: ["--prefix", "a"], says: "--yes" },
  { create: deleteCommand, args: ["--prefix", ""], says: "error: standard input is not a terminal" },
  { create: deleteCommand, args: ["a.jpg", "--expires", "soon"], says: "30d" },
  { create: lsCommand, args: ["--limit", "0"], says: "from 1" },
  { create: lsCommand, args: ["--admin", "localhost:8081"], says: "http://127.0.0.1:8081" },
])("$args is wrong usage", async ({ create, args, says }) => {
  const { err, error } = await run(create, args);
  expect(error?.constructor.name).toBe("CommanderError");
  expect(err).toContain(says);
});

test.each([
  [logCommand, ["--csv", "--json"]],
  [logCommand, ["--latest", "0"]],
  [logCommand, ["--operation", "destroy"]],
  [logCommand, ["--from"]],
  [callbacksCommand, ["retry"]],
  [callbacksCommand, ["retry", "--all", "--state", "waiting"]],
  [callbacksCommand, ["drop", "--all"]],
  [callbacksCommand, ["drop", "seventeen"]],
  [callbacksCommand, ["list", "--state", "lost"]],
  [callbacksCommand, ["forget"]],
  [callbacksCommand, []],
] as const)("%o %j is wrong usage, names the help, and says nothing on stdout", async (create, args) => {
  const { out, err, error } = await run(create, args);
  expect(error?.constructor.name).toBe("CommanderError");
  expect(err).toMatch(/ \(see: [a-z ]+ --help\)\n$|^Usage: /);
  expect(out).toBe("");
});

test("a command that cannot read its settings file names --admin", async () => {
  const { error } = await run(lsCommand, ["--config", "/nonexistent/huiyuan.yaml"]);
  expect(error?.message).toMatch(/no such settings file.*\n.*--admin URL$/s);
});

test.each([
  ["2015/猫.jpg", "2015/猫.jpg"],
  ["a\u001b[2Jb\n.jpg", "a\\u001b[2Jb\\u000a.jpg"],
  ["gpj.\u202eexe", "gpj.\\u202eexe"],
])("shown() escapes control characters of a key: %j", (key, expected) => {
  expect(shown(key)).toBe(expected);
});

test.each([
  [["a.png", "b.png"], [], "a.png", ""],
  [["a.png", "b.png"], ["--limit", "1"], "a.png", ""],
  [[], [], "", "no matching objects are stored\n"],
])("ls of %j with %j says on stderr only that nothing is stored", async (keys, args, listed, said) => {
  const objects = keys.map((key) => ({
    key,
    size: 3,
    format: "png",
    storedAt: "2026-11-29T00:00:00Z",
    provenance: { via: "upload" },
  }));
  const server = createServer((_request, response) => {
    response.setHeader("Content-Type", "application/json").end(JSON.stringify({ status: "alive", objects }));
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const admin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a bound TCP server has one
  const { out, err, error } = await run(lsCommand, ["--admin", admin, ...args]);
  expect([error?.message, out.includes(listed)]).toEqual([undefined, true]);
  expect(err).toBe(said);
});
