// The log on a terminal.
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../src/core/errors.ts";
import { createLogger } from "../../../../src/operate/cli/logger.ts";

async function told(tell: (log: ReturnType<typeof createLogger>) => void): Promise<string> {
  const destination = new PassThrough();
  tell(createLogger({ isInteractive: true, level: "info", destination }));
  destination.end();
  return text(destination);
}

test("createLogger() writes readable lines without control characters", async () => {
  const key = "猫\n\u001b[31m\u007f\u009b31m\u009d0;x\u202egpj.png";
  const err = new HuiyuanError("origin_timeout", `Cannot fetch "${key}"`);
  const lines = await told((log) => log.warn({ key, err }, "an image could not be fetched"));
  const harmless = "猫\\n\\u001b[31m\\u007f\\u009b31m\\u009d0;x\\u202egpj.png";
  expect(lines).toContain(`"${harmless}"`);
  expect(lines).toContain(`Cannot fetch \\"${harmless}\\"`);
  expect(lines).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] .*WARN.*: .*an image could not be fetched.*\n/);
  expect(lines.endsWith("\n")).toBe(true);
});

test("createLogger() drops lines if the terminal is gone, and does not throw", async () => {
  const destination = new PassThrough();
  const log = createLogger({ isInteractive: true, level: "info", destination });
  destination.destroy(new Error("EIO"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => log.info({}, "a line")).not.toThrow();
  await new Promise((resolve) => setImmediate(resolve));
});

test("createLogger() redacts a token in the name of an image", async () => {
  const err = new HuiyuanError("origin_status", 'Cannot use "http://o.example/a.jpg%3Fsign=SECRET": status 500', {
    cause: new Error("http://o.example/a.jpg%3fSIGN=SECRET"),
  });
  const lines = await told((log) => log.warn({ key: "a.jpg?sign=SECRET", err }, "an image could not be fetched"));
  expect(lines).not.toContain("SECRET");
  expect(lines).toContain("a.jpg?sign=…");
});
