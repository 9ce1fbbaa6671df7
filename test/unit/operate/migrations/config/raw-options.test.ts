import { expect, test } from "vitest";
import { readIni, readYaml } from "../../../../../src/operate/migrations/config/options.ts";
import { startCpuTimer } from "../../../../helpers/cpu-time.ts";

const LINES: readonly (readonly [line: string, name: string, value: string | undefined])[] = [
  ["migrate.type = Local", "migrate.type", "Local"],
  ["Migrate.TYPE=Local", "migrate.type", "Local"],
  ["a: b", "a", "b"],
  ["a = b ; a comment", "a", "b"],
  ["a = b;c", "a", "b;c"],
  ["a = b=c:d", "a", "b=c:d"],
  ["a = 100%%", "a", "100%"],
  ["a = http://h/p#f", "a", "http://h/p#f"],
  ["fileid.ignore.unless = (?i).*\\.(?:jpg|png)$", "fileid.ignore.unless", "(?i).*\\.(?:jpg|png)$"],
  ["a =", "a", undefined],
  ["a = ; only a comment", "a", undefined],
  ["; a = b", "a", undefined],
  ["# a = b", "a", undefined],
  ["  a = Case Kept  ", "a", "Case Kept"],
];

test.each(LINES)("readIni() reads %j", (line, name, value) => {
  const { options, faults } = readIni(`[Any]\r\n${line}\r\n`);
  expect(options.get(name)).toBe(value);
  expect(faults).toEqual([]);
});

test("readIni() takes the last of two values, and an empty one removes it", () => {
  expect(readIni("a=1\na=2\nb=1\nb=").options).toEqual(new Map([["a", "2"]]));
});

test("readIni() names every line that it cannot read", () => {
  const { faults } = readIni("[S]\nwords\na = 5%\n= x\nb = 1");
  expect(faults.length).toBe(3);
  expect(faults.join()).toMatch(/Line 2.*line 3.*Line 4/);
});

test("readIni() never takes long, whatever the line", () => {
  const cpuMs = startCpuTimer();
  for (const line of [" ".repeat(100_000), ";".repeat(100_000), `a${" ".repeat(100_000)}b`, "[".repeat(100_000)])
    readIni(line);
  expect(cpuMs()).toBeLessThan(3_000);
});

test("readYaml() reads options in sections and at the top, and refuses lists and broken text", () => {
  const { options, faults } = readYaml("MigrateInfo:\n  migrate.type: Local\nconcurrency: 5\nempty:\nflag: true\n");
  expect(Object.fromEntries(options)).toEqual({ "migrate.type": "Local", concurrency: "5", flag: "true" });
  expect(faults).toEqual([]);
  const texts = "appid: 0012\nkey: 12345678901234567890\nrate: 1e5\nhex: 0x10\nlist: !!int 5\n";
  expect([...readYaml(texts).options.values()]).toEqual(["0012", "12345678901234567890", "1e5", "0x10", "5"]);
  expect(readYaml("a: [1]").faults).toEqual(["Option a must be a text, a number, true or false."]);
  expect(readYaml("a: [1").faults.length).toBeGreaterThan(0);
  expect(readYaml("just text").faults.length).toBe(1);
  expect(readYaml("a: &b 1\nc: *b").faults).toEqual(["Write the value in place of the alias *b."]);
});
