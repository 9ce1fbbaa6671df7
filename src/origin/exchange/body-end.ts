// A body whose end is noticed by someone beside its sink, however it comes: whole, broken, or no longer wanted.
import type { OriginBody } from "../origin.ts";

/** The same body; `over` is called once, with the failure where there was one. */
export function noticeEnd(body: OriginBody, over: (error: Error | undefined) => void): OriginBody {
  let isOver = false;
  const end = (error: Error | undefined) => {
    if (isOver) return;
    isOver = true;
    over(error);
  };
  return {
    start(sink) {
      body.start({
        data: (chunk) => sink.data(chunk),
        end() {
          end(undefined);
          sink.end();
        },
        error(error) {
          end(error);
          sink.error(error);
        },
      });
    },
    resume: () => body.resume(),
    destroy() {
      end(undefined);
      body.destroy();
    },
  };
}
