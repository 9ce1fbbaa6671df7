// The progress of a backup or a restore.

/** `bytes` of the images are done in this step, of `total`. */
export type OnProgress = (step: "placing" | "verifying", bytes: number, total: number) => void;

/** Returns a function that adds bytes to those that are done in the step. */
export function countStep(onProgress: OnProgress, step: Parameters<OnProgress>[0], total: number) {
  let done = 0;
  return (bytes: number): void => {
    done += bytes;
    onProgress(step, done, total);
  };
}
