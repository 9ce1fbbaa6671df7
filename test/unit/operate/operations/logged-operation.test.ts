import { expect, test } from "vitest";
import type { LogEntry } from "../../../../src/operate/operations/contract.ts";
import { CSV_HEADER, csvLine, withoutSign } from "../../../../src/operate/operations/logged-operation.ts";

const ENTRY: LogEntry = {
  id: 1,
  time: "2015-07-17T08:00:00.005Z",
  reportTime: "2015-07-17T08:00:01.000Z",
  bucket: "10001234/photos",
  operation: "upload",
  fileid: "2015/07/cat.jpg",
  url: "http://web.image.myqcloud.com/photos/v2/10001234/photos/0/2015%2F07%2Fcat.jpg",
  client: "192.0.2.1",
  userAgent: "curl/8",
  code: 0,
  message: "SUCCESS",
  bytes: 51_200,
  requestId: "0123-1",
};

test("csvLine() has the documented columns in their order, then our own", () => {
  expect(CSV_HEADER.split(",").slice(0, 10)).toEqual(
    "reporttime, time, bucketid, appid, fileid, url, op, realclientip, errno, errmsg".split(", "),
  );
  expect(csvLine(ENTRY)).toBe(
    `2015-07-17T08:00:01.000Z,2015-07-17T08:00:00.005Z,photos,10001234,2015/07/cat.jpg,${ENTRY.url},1,192.0.2.1,0,SUCCESS,` +
      "upload,51200,curl/8,0123-1",
  );
  expect(csvLine(ENTRY).split(",").length).toBe(CSV_HEADER.split(",").length);
});

test.each([
  ["query", 3],
  ["delete", 4],
  ["copy", 2],
] as const)("csvLine() of a %s has op %i", (operation, op) => {
  expect(csvLine({ ...ENTRY, operation }).split(",")[6]).toBe(String(op));
});

test("csvLine() quotes characters that would end a field or a line", () => {
  const line = csvLine({ ...ENTRY, fileid: 'a,"b"\r\nc', userAgent: "=1+1" });
  expect(line).toContain(',"a,""b""\r\nc",');
  expect(line).toContain(",=1+1,");
});

test.each([
  ["http://h/a", "http://h/a"],
  ["http://h/a?sign=secret", "http://h/a"],
  ["http://h/a?b=1&sign=secret&c=2&SIGN=too", "http://h/a?b=1&c=2"],
  ["/a?sign", "/a"],
  ["/a?signed=1", "/a?signed=1"],
])("withoutSign(%s) is %s", (url, rest) => {
  expect(withoutSign(url)).toBe(rest);
});
