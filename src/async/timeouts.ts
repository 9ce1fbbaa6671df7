// Puts a deadline on a promise. The work behind the promise continues.
import { HuiyuanError } from "../core/errors.ts";

/** Settles as `promise` does. Throws store_failed with `message` after the given milliseconds. */
export async function withTimeout<Result>(
  milliseconds: number,
  promise: Promise<Result>,
  message: string,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HuiyuanError("store_failed", message)), milliseconds).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
