// What the server and a render process say to each other. Buffers and Maps travel as they are (structured clone).
import type { ErrorCode } from "../errors.ts";
import type { PipelineRequest, Rendered } from "./pipeline.ts";

/** One at a time; the next is sent after the answer. */
export type ToProcess = PipelineRequest;

export type FromProcess =
  | { readonly kind: "ready" }
  /** `residentBytes`: memory of the process afterwards. */
  | { readonly kind: "rendered"; readonly rendered: Rendered; readonly residentBytes: number }
  | {
      readonly kind: "refused";
      readonly code: ErrorCode;
      readonly message: string;
      readonly parameter: string | undefined;
      readonly residentBytes: number;
    }
  /** The last word: the render needs more memory than it may. */
  | { readonly kind: "exhausted" };

/** The argument of the process: bytes of memory that it may have. */
export type ProcessArguments = readonly [maxResidentBytes: string];
