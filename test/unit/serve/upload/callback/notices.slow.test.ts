import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { createFailureLog } from "../../../../../src/serve/mirror/failure-log.ts";
import { verifyCallback } from "../../../../../src/serve/sign/callback.ts";
import type { CallbackOutcome, Uploaded } from "../../../../../src/serve/upload/callback/callback.ts";
import type { CallbackTarget } from "../../../../../src/serve/upload/callback/delivery.ts";
import { createNotices, type Notices } from "../../../../../src/serve/upload/callback/notices.ts";
import type { Outbox } from "../../../../../src/serve/upload/callback/outbox.ts";
import { linesOf } from "../../../../helpers/log-lines.ts";
import { eventually } from "../../../../helpers/program.ts";
import {
  response,
  type Script,
  type ScriptedOrigin,
  startScriptedOrigin,
} from "../../../../helpers/scripted-origin.ts";
import { openOutbox, UPLOADED } from "../../../../helpers/uploaded.ts";

const BUCKET = "10001234/photos";
const ALL = { bucketId: undefined, state: undefined, ids: undefined };
const HOUR_MS = 3_600_000;

let outbox: Outbox;
let clock: number;
let counts: Record<string, number>;
let log: ReturnType<typeof linesOf>;
let stored: boolean | Error;
let receivers: ScriptedOrigin[];
let made: Notices[];

beforeEach(async () => {
  const dir = await mkdtemp(join(tmpdir(), "huiyuan-notices-"));
  log = linesOf();
  const opened = openOutbox(dir, log);
  ({ outbox } = opened);
  [clock, counts, stored, receivers, made] = [1_450_000_000_000, {}, true, [], []];
  return async () => {
    await Promise.all(made.map((notices) => notices.close()));
    await Promise.all(receivers.map((receiver) => receiver.close()));
    await opened.close();
    await rm(dir, { recursive: true });
  };
});

function noticesOf(more: { readonly outbox?: Outbox } = {}): Notices {
  const count = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const notices = createNotices({
    outbox,
    async isStored() {
      if (stored instanceof Error) throw stored;
      return stored;
    },
    userAgent: "Huiyuan/test",
    resolve: async () => ["127.0.0.1"],
    meter: { attempted: count, lost: () => count("lost") },
    now: () => clock,
    log,
    failures: createFailureLog(log, {}, "callbacks"),
    ...more,
  });
  made.push(notices);
  return notices;
}

async function receiver(...inTurn: readonly Script[]): Promise<ScriptedOrigin> {
  const started = await startScriptedOrigin({ "*": { inTurn } });
  receivers.push(started);
  return started;
}

const GOOD: Script = [response('{"ok":1}')];
const BAD: Script = [response("", { status: "502 Bad Gateway" })];

function to({ url }: { readonly url: string }, more: Partial<CallbackTarget> = {}, bucketId = BUCKET) {
  const target: CallbackTarget = {
    url,
    secret: "one",
    timeoutMs: 3_000,
    onFailure: "report",
    allowPrivate: true,
    ...more,
  };
  return new Map([[bucketId, target]]);
}

/** The notices that the receiver got, in order. Throws if a signature is wrong. */
function told({ requests }: ScriptedOrigin, secret = "one") {
  return requests.map(({ body }) => {
    const now = Number(new URLSearchParams(body.toString()).get("timestamp"));
    const verdict = verifyCallback(body, { secret, now });
    if (!verdict.ok) throw new Error(verdict.refusal);
    return verdict.notice;
  });
}

async function notify(notices: Notices, uploaded: Uploaded): Promise<CallbackOutcome | undefined> {
  return (await notices.makeOutboxDraft(uploaded))?.stored();
}

const owed = () => outbox.list(ALL, { after: 0, limit: 100 });
const settled = (count: number) => eventually(async () => (await owed()).length === count, `${count} notices are owed`);
/** Waits until the failure of the first attempt is in the outbox. */
const noted = () => eventually(async () => (await owed())[0]?.failure !== undefined, "the failure is noted");

test("stored() returns the business server's response and empties the outbox", async () => {
  const notices = noticesOf();
  notices.apply(to(await receiver(GOOD)));
  expect(await notify(notices, UPLOADED)).toEqual({ code: 0, json: '{"ok":1}' });
  await settled(0);
  expect(counts).toEqual({ delivered: 1 });
});

test("makeOutboxDraft() is undefined without a callback", async () => {
  const notices = noticesOf();
  notices.apply(to({ url: "http://app.example.com" }, {}, "10001234/others"));
  expect(await notices.makeOutboxDraft(UPLOADED)).toBeUndefined();
  expect(await owed()).toEqual([]);
});

test("the notice is in the outbox before the request is sent", async () => {
  let owedThen: number | undefined;
  const asked = await startScriptedOrigin(async (_request, connection) => {
    owedThen = (await outbox.due(BUCKET, clock + HOUR_MS, 9)).length;
    await connection.send(response("1"));
  });
  receivers.push(asked);
  const notices = noticesOf();
  notices.apply(to(asked));
  await notify(notices, UPLOADED);
  expect(owedThen).toBe(1);
});

test.each([
  ["report", -5979],
  ["accept", 0],
] as const)(
  "a failure has the result of onFailure: %s, and the notice stays in the outbox",
  async (onFailure, code) => {
    const notices = noticesOf();
    notices.apply(to(await receiver(BAD), { onFailure }));
    expect(await notify(notices, UPLOADED)).toEqual({ code, json: '{"reason":"status","status":502}' });
    await noted();
    expect(await owed()).toMatchObject([
      { ...UPLOADED, attempts: 1, dueAt: clock + 10_000, failure: { reason: "status", status: 502 } },
    ]);
  },
);

test("a failed notice is sent again once it is due, with its attempt number", async () => {
  const business = await receiver(BAD, BAD, GOOD);
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  await notify(notices, UPLOADED);
  await noted();
  clock += 9_999;
  await notices.redeliver();
  // The ledger answers in order, so this read follows those of the redelivery.
  await owed();
  expect(business.requests.length).toBe(1);
  clock += 1;
  await notices.redeliver();
  await business.received(2);
  await eventually(async () => (await owed())[0]?.attempts === 2, "the second attempt is noted");
  expect((await owed())[0]?.dueAt).toBe(clock + 60_000);
  clock += 60_000;
  await notices.redeliver();
  await settled(0);
  expect(told(business).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  expect(business.requests.map(({ headers }) => headers["x-request-id"])).toEqual(Array(3).fill(UPLOADED.requestId));
  expect(counts).toEqual({ status: 2, delivered: 1 });
  expect(log.lines.map(({ message }) => message)).toEqual([
    "the callback fails; see `huiyuan callbacks list`",
    "the callback fails; see `huiyuan callbacks list`",
  ]);
});

test("the cause of a failure is in the log, and not in the result for the uploader", async () => {
  const notices = noticesOf();
  notices.apply(to({ url: "http://127.0.0.1:6379/?key=hidden" }));
  expect(await notify(notices, UPLOADED)).toEqual({ code: -5979, json: '{"reason":"blocked"}' });
  expect(log.lines[0]?.fields).toMatchObject({
    bucket: BUCKET,
    reason: "blocked",
    found: expect.stringContaining("6379"),
  });
  expect(JSON.stringify(log.lines)).not.toMatch(/hidden|"one"/);
});

test("redelivery starts by itself when a notice is due", async () => {
  const business = await receiver(BAD, GOOD);
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  await notify(notices, UPLOADED);
  await noted();
  // The notice is due now. The next look was planned in 10 s; the next failure triggers it earlier.
  clock += 10_000;
  await notify(notices, { ...UPLOADED, fileid: "another.jpg" });
  await business.received(2);
  await notices.redeliver();
  await settled(0);
});

test("a notice is given up after 24 hours, and an operator can request one more attempt", async () => {
  const business = await receiver(BAD, BAD, GOOD);
  const notices = noticesOf();
  notices.apply(to(business));
  await notify(notices, UPLOADED);
  await noted();
  clock += 24 * HOUR_MS - 1;
  await notices.redeliver();
  await eventually(async () => (await owed())[0]?.dueAt === undefined, "it is given up");
  clock += HOUR_MS;
  await notices.redeliver();
  await owed();
  expect(business.requests.length).toBe(2);
  await outbox.retry({ ...ALL, state: "given-up" }, clock);
  await notices.redeliver();
  await settled(0);
  expect(told(business).at(-1)).toMatchObject({ attempt: 3 });
});

test("another process sends the notices of this one, with the URL and secret of its own settings", async () => {
  const [old, next] = [await receiver(BAD), await receiver(GOOD)];
  const first = noticesOf();
  first.apply(to(old));
  await notify(first, UPLOADED);
  await noted();
  await first.close();
  clock += 10_000;
  const second = noticesOf();
  second.apply(to(next, { secret: "two" }));
  await second.redeliver();
  await settled(0);
  expect(told(next, "two")).toMatchObject([
    { fileid: UPLOADED.fileid, attempt: 2, timestamp: Math.floor(clock / 1_000) },
  ]);
  expect(old.requests.length).toBe(1);
});

test("a reload changes the target of pending notices; without a callback they stay in the outbox", async () => {
  const [old, next] = [await receiver(BAD), await receiver(GOOD)];
  const notices = noticesOf();
  notices.apply(to(old));
  await notices.redeliver();
  await notify(notices, UPLOADED);
  await noted();
  notices.apply(new Map());
  clock += 10_000;
  await notices.redeliver();
  expect((await owed()).length).toBe(1);
  notices.apply(to(next, { secret: "two" }));
  await settled(0);
  expect([old.requests.length, told(next, "two").length]).toEqual([1, 1]);
});

test("a notice that another process failed to send keeps its due time", async () => {
  const business = await receiver(GOOD);
  const id = Number(await outbox.enqueue(UPLOADED, { since: clock, dueAt: clock }));
  await outbox.postpone(id, { attempts: 1, dueAt: clock + 10_000, isStored: true, failure: { reason: "connect" } });
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  await owed();
  expect(business.requests).toEqual([]);
  clock += 10_000;
  await notices.redeliver();
  await settled(0);
  expect(told(business)).toMatchObject([{ attempt: 2 }]);
});

test.each<[string, boolean | Error, number]>([
  ["sent as the first attempt if the file is stored", true, 1],
  ["never sent if the file is not stored", false, 0],
])("a notice of a dead process is %s", async (_what, isThere, count) => {
  const business = await receiver(GOOD);
  await outbox.enqueue(UPLOADED, { since: clock, dueAt: clock + 60_000 });
  stored = isThere;
  // A stored file is found at once. A missing one may still arrive for ten minutes.
  if (isThere !== true) clock += 600_000;
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  await eventually(async () => (await outbox.due(BUCKET, clock + HOUR_MS, 1)).length === 0, "nothing is owed");
  expect(told(business).map(({ attempt }) => attempt)).toEqual(Array(count).fill(1));
});

test("the lookup of a file is retried while the store does not answer", async () => {
  const business = await receiver(GOOD);
  await outbox.enqueue(UPLOADED, { since: clock, dueAt: clock });
  stored = new HuiyuanError("store_failed", "the store is away");
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  await eventually(async () => (await outbox.due(BUCKET, clock, 1)).length === 0, "it was asked");
  [stored, clock] = [true, clock + 60_000];
  await notices.redeliver();
  await business.received(1);
});

test("makeOutboxDraft() sends the notice after stored() and removes it after withdraw()", async () => {
  const business = await receiver(GOOD);
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  const [one, two] = [
    await notices.makeOutboxDraft(UPLOADED),
    await notices.makeOutboxDraft({ ...UPLOADED, fileid: "two" }),
  ];
  expect((await outbox.due(BUCKET, clock + HOUR_MS, 9)).length).toBe(2);
  // Storing takes longer than expected; redelivery must not send the notice meanwhile.
  clock += 61_000;
  await notices.redeliver();
  await eventually(async () => (await outbox.due(BUCKET, clock, 9)).length === 0, "they are left alone");
  two?.withdraw();
  expect(await one?.stored()).toEqual({ code: 0, json: '{"ok":1}' });
  await eventually(async () => (await outbox.due(BUCKET, clock + HOUR_MS, 9)).length === 0, "nothing is owed");
  expect(told(business)).toMatchObject([{ fileid: UPLOADED.fileid, attempt: 1 }]);
});

test("the notice of an upload with unknown result is sent if the file was stored", async () => {
  const business = await receiver(GOOD);
  const notices = noticesOf();
  notices.apply(to(business));
  await notices.redeliver();
  (await notices.makeOutboxDraft(UPLOADED))?.markUnknown();
  clock += 60_000;
  await notices.redeliver();
  await business.received(1);
  expect(told(business)).toMatchObject([{ fileid: UPLOADED.fileid, attempt: 1 }]);
});

test("a receiver that hangs delays only the uploads of its own bucket, up to the timeout", async () => {
  const [hanging, business] = [await receiver(["HANG"]), await receiver(GOOD)];
  const notices = noticesOf();
  notices.apply(new Map([...to(hanging, { timeoutMs: 2_000 }), ...to(business, {}, "10001234/others")]));
  const began = performance.now();
  const slow = Array.from({ length: 100 }, (_, index) => notify(notices, { ...UPLOADED, fileid: `${index}` }));
  let firstMs: number | undefined;
  void Promise.race(slow).then(() => {
    firstMs = performance.now() - began;
  });
  const others = Array.from({ length: 20 }, () => notify(notices, { ...UPLOADED, bucket: "others" }));
  expect((await Promise.all(others)).every((outcome) => outcome?.code === 0)).toBe(true);
  expect(firstMs).toBeUndefined();
  await hanging.received(32);
  expect(hanging.openConnections).toBe(32);
  const failures = new Set((await Promise.all(slow)).map((outcome) => outcome?.json));
  expect(failures).toEqual(new Set(['{"reason":"timeout"}']));
  // Uploads that wait for a connection share the time-out: four groups in turn would take four times as long.
  expect(performance.now() - began).toBeLessThan(3 * (firstMs ?? 0));
});

test("with a full outbox the first attempt is still made, and its failure counts as lost", async () => {
  const business = await receiver(GOOD, BAD);
  const refusing: Outbox = {
    ...outbox,
    enqueue: () => Promise.reject(new HuiyuanError("store_full", "Cannot write: disk full")),
  };
  const notices = noticesOf({ outbox: refusing });
  notices.apply(to(business));
  expect(await notify(notices, UPLOADED)).toMatchObject({ code: 0 });
  expect(await notify(notices, UPLOADED)).toMatchObject({ code: -5979 });
  expect(counts).toEqual({ delivered: 1, status: 1, lost: 1 });
  const lines = log.lines.filter(({ level }) => level === "error");
  expect(lines.length).toBe(2);
});

test("redelivery does not resend in a loop if the outbox cannot be written", async () => {
  const business = await receiver(GOOD);
  await outbox.enqueue(UPLOADED, { since: clock, dueAt: clock });
  let forgets = 0;
  const stuck: Outbox = {
    ...outbox,
    forget() {
      forgets += 1;
      return Promise.reject(new HuiyuanError("store_full", "Cannot write: disk full"));
    },
  };
  const notices = noticesOf({ outbox: stuck });
  notices.apply(to(business));
  await notices.redeliver();
  await business.received(1);
  await eventually(() => forgets === 1, "its end could not be noted");
  for (let round = 0; round < 5; round += 1) {
    await notices.redeliver();
    await owed();
  }
  expect(business.requests.length).toBe(1);
  await notices.close();
});

test("close() aborts attempts, and their notices stay in the outbox", async () => {
  const hanging = await receiver(["HANG"]);
  const notices = noticesOf();
  notices.apply(to(hanging));
  const first = notify(notices, UPLOADED);
  await hanging.received(1);
  await outbox.enqueue({ ...UPLOADED, fileid: "due" } satisfies Uploaded, { since: clock, dueAt: clock });
  await notices.redeliver();
  await hanging.received(2);
  await notices.close();
  expect(await first).toMatchObject({ code: -5979 });
  await hanging.closedDownTo(0);
  expect(await outbox.due(BUCKET, clock + 10_000, 9)).toMatchObject([{ fileid: "due", isStored: false }, UPLOADED]);
});
