import { expect, test } from "vitest";
import { loggedName } from "../../../../src/operate/admin/audit.ts";

test.each([
  ["2015/a.jpg", "2015/a.jpg"],
  ["g.gif?b", "g.gif?b"],
  ["http://img.example/a.jpg?x=1", "http://img.example/a.jpg"],
  ["http://img.example/a.jpg%3Fsign=abc", "http://img.example/a.jpg%3Fsign=…"],
  ["img.example/a.jpg?sign=abc", "img.example/a.jpg?sign=…"],
  ["http://u:P@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["http://u:P?x@img.example/a.jpg?x=1", "http://…@img.example/a.jpg"],
  [`http://u:${"P".repeat(300)}@img.example/a.jpg`, "http://…@img.example/a.jpg"],
  ["a".repeat(300), "a".repeat(200)],
])("loggedName(%j) is %j", (name, expected) => {
  expect(loggedName(name)).toBe(expected);
});
