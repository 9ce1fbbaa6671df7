import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { OutboxEntry } from "../../../../../src/serve/upload/callback/outbox.ts";
import { createRedelivery, nextAttempt } from "../../../../../src/serve/upload/callback/redelivery.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";
import { within } from "../../../../helpers/program.ts";
import { openOutbox, UPLOADED } from "../../../../helpers/uploaded.ts";

test("nextAttempt() follows after 10 s, 1 min, 10 min, 1 h, then every hour, for 24 h", () => {
  const seconds: number[] = [];
  let at = 0;
  for (let attempts = 1; ; attempts += 1) {
    const dueAt = nextAttempt({ since: 0, attempts }, at);
    if (dueAt === undefined) break;
    seconds.push((dueAt - at) / 1_000);
    at = dueAt;
  }
  expect(seconds.slice(0, 5)).toEqual([10, 60, 600, 3_600, 3_600]);
  expect(new Set(seconds.slice(3))).toEqual(new Set([3_600]));
  expect(at).toBeLessThanOrEqual(86_400_000);
  expect(at).toBeGreaterThan(86_400_000 - 3_600_000);
});

test("createRedelivery() sends a notice at once whose time a wrong clock has set years ahead", async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-redelivery-"));
  const opened = openOutbox(dir);
  const { outbox } = opened;
  const now = 1_000_000;
  const enqueue = async (fileid: string, dueAt: number) => {
    const id = Number(await outbox.enqueue({ ...UPLOADED, fileid }, { since: dueAt - 10_000, dueAt }));
    await outbox.postpone(id, {
      attempts: 1,
      dueAt,
      isStored: true,
      failure: undefined,
    });
  };
  await enqueue("ahead", now + 1e12);
  await enqueue("later", now + 3_600_000);
  const redelivery = await within(
    new Promise<{ sent: string; close: () => Promise<void> }>((resolve) => {
      const made = createRedelivery({
        ...{ outbox, hasReceiver: () => true, now: () => now, log: linesOf() },
        async attempt({ id, fileid }: OutboxEntry) {
          await outbox.forget(id);
          resolve({ sent: fileid, close: made.close });
        },
      });
      made.wake();
    }),
    10_000,
    () => "no notice was sent",
  ).finally(() => opened.close());
  expect(redelivery.sent).toBe("ahead");
  await redelivery.close();
  await rm(dir, { recursive: true });
});
