// Puts a deadline on a promise whose work continues, and waits for a while.
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

/** Resolves after so many milliseconds, or once `hurry` aborts. */
export function pause(milliseconds: number, hurry: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    if (hurry.aborted) end();
    else hurry.addEventListener("abort", end, { once: true });
  });
}
