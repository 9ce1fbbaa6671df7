// The logins of browsers: how they end, and how many there are.
import { expect, test } from "vitest";
import { createSessions, isSameSecret, MAX_SESSIONS } from "../../../../src/operate/admin/sessions.ts";

const HOUR_MS = 3_600_000;

test("a session ends an hour after its last use, and a day after its start", () => {
  let now = 0;
  const sessions = createSessions(() => now);
  const idle = sessions.begin();
  const used = sessions.begin();
  for (now = 0; now < 24 * HOUR_MS; now += HOUR_MS - 1) expect(sessions.find(used.id)).toBeDefined();
  now = HOUR_MS;
  expect(sessions.find(idle.id)).toBeUndefined();
  now = 24 * HOUR_MS - 1;
  expect(sessions.find(used.id)).toMatchObject({ id: used.id, csrfToken: used.csrfToken });
  now = 24 * HOUR_MS;
  expect(sessions.find(used.id)).toBeUndefined();
});

test("ids and CSRF tokens have 256 random bits each", () => {
  const sessions = createSessions(() => 0);
  const all = Array.from({ length: 50 }, () => sessions.begin()).flatMap(({ id, csrfToken }) => [id, csrfToken]);
  expect(new Set(all).size).toBe(100);
  for (const each of all) expect(Buffer.from(each, "base64url").byteLength).toBe(32);
});

test("a new session beyond the limit ends the one that was not used for the longest time", () => {
  const sessions = createSessions(() => 0);
  const first = sessions.begin();
  const second = sessions.begin();
  for (let count = 2; count < MAX_SESSIONS; count += 1) sessions.begin();
  expect(sessions.find(first.id)).toBeDefined();
  const last = sessions.begin();
  expect([first, second, last].map(({ id }) => sessions.find(id) !== undefined)).toEqual([true, false, true]);
});

test("end() ends one session, and endAll() every one", () => {
  const sessions = createSessions(() => 0);
  const all = [sessions.begin(), sessions.begin(), sessions.begin()];
  const found = () => all.map(({ id }) => sessions.find(id) !== undefined);
  sessions.end(all[1]?.id ?? "");
  expect(found()).toEqual([true, false, true]);
  sessions.endAll();
  expect(found()).toEqual([false, false, false]);
});

test.each([
  ["", "a", false],
  ["a", "a", true],
  ["ab", "a", false],
  ["a", "ab", false],
])("isSameSecret(%j, %j) is %s", (given, wanted, same) => {
  expect(isSameSecret(given, wanted)).toBe(same);
});
