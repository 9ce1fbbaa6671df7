import { expect, test } from "vitest";
import { HuiyuanError } from "../../../../../src/core/errors.ts";
import { errorBody } from "../../../../../src/serve/http/response/error-answer.ts";
import { readInteger } from "../../../../../src/serve/image/grammar/values.ts";

const told = (error: HuiyuanError) => JSON.parse(errorBody(error, "request-1").toString());

test("errorBody() contains the code's public text, never the error's own message", () => {
  const error = new HuiyuanError("origin_timeout", "Cannot fetch from http://10.0.0.7/secret");
  expect(told(error)).toEqual({ code: -902, message: "the origin did not respond in time", requestId: "request-1" });
});

test("errorBody() names the faulty parameter of a processing instruction", () => {
  const error = new HuiyuanError("processing_invalid", "x", { parameter: "imageMogr2/thumbnail" });
  expect(told(error).message).toBe("the processing instruction is not valid: imageMogr2/thumbnail");
});

test("errorBody() names the values that the parameter may have, and not the one that was sent", () => {
  let thrown: unknown;
  try {
    readInteger({ name: "imageMogr2/quality", value: "<b>101</b>" }, 1, 100);
  } catch (error) {
    thrown = error;
  }
  expect(told(thrown as HuiyuanError).message).toBe(
    "the processing instruction is not valid: imageMogr2/quality, wanted an integer from 1 to 100",
  );
});
