import { expect, test } from "vitest";
import { photosLab } from "../../../../helpers/photos-lab.ts";
import { sendRaw } from "../../../../helpers/raw.ts";

const PATH = "/photos/v2/10001234/photos/0/a.jpg";

test.each([
  ["a signature of 20,000 bytes", `POST ${PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: ${"A".repeat(20_000)}\r\n\r\n`],
  ["two lengths", `POST ${PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  [
    "a length and chunks",
    `POST ${PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
  ],
  ["an unknown coding", `POST ${PATH} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n`],
  ["an expectation", `POST ${PATH} HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 0\r\n\r\n`],
  ["no header at all", `GET http://h${PATH} HTTP/1.1\r\nno header\r\n\r\n`],
])("an API call with an unreadable head (%s) gets an API answer", async (_, bytes) => {
  const { port } = await photosLab();
  const { status, body } = await sendRaw(port, bytes);
  expect([status, JSON.parse(Buffer.from(body, "latin1").toString())]).toEqual([
    400,
    { code: -5999, message: "参数错误", data: {} },
  ]);
});

test("an unreadable head of another request gets no API answer", async () => {
  const { port } = await photosLab();
  const { status, body } = await sendRaw(port, `GET /a.jpg HTTP/1.1\r\nHost: h\r\nX: ${"A".repeat(20_000)}\r\n\r\n`);
  expect([status, JSON.parse(body)]).toMatchObject([431, { code: -103 }]);
});
