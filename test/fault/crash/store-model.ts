// The allowed results of a bucket, as a plain map: the model to which the crash lab compares the real store. Operations
// are data, so that a generator can make them and a child process can receive them.
import { bytesOfNumber } from "../../helpers/put-until-killed.ts";

/** The condition of a put, as PutCondition; `over`: only over the object with the body of that number. */
export type Condition = "absent" | "vacant" | "always" | { readonly over: number };

/**
 * `body` is the number of the bytes (bytesOfNumber). `fill` is a put as the mirror does it: spool file, note,
 * write-back.
 */
export type StoreOperation =
  | { readonly kind: "open" | "close" | "sweep" }
  /** With an S3 behind the store: it refuses puts; it takes them again; everything pending has reached it. */
  | { readonly kind: "hold" | "release" | "settle" }
  | {
      readonly kind: "put";
      readonly key: string;
      readonly body: number;
      readonly form: "buffer" | "file";
      readonly condition: Condition;
      readonly via: "mirror" | "upload";
    }
  | { readonly kind: "fill"; readonly key: string; readonly body: number }
  | { readonly kind: "copy"; readonly key: string; readonly to: string; readonly condition: Exclude<Condition, object> }
  | { readonly kind: "delete" | "undelete" | "read"; readonly key: string }
  | { readonly kind: "purge"; readonly key: string; readonly hard: boolean };

/** The state of a key. */
export interface Cell {
  readonly state: "object" | "tombstone" | "absent";
  readonly epoch: number;
  readonly body?: number;
  readonly via?: "mirror" | "upload";
  readonly isStale?: boolean;
}

/** Key → cell; a missing key has never been touched. */
export type Model = ReadonlyMap<string, Cell>;

export const EMPTY_MODEL: Model = new Map();
const UNTOUCHED: Cell = { state: "absent", epoch: 0 };

export function cellOf(model: Model, key: string): Cell {
  return model.get(key) ?? UNTOUCHED;
}

/**
 * Returns the model after the operation, and the expected result of the store: a put's result, a boolean, or a body's
 * number.
 */
export function applyOperation(
  model: Model,
  operation: StoreOperation,
): { readonly model: Model; readonly answer: string | boolean | number | null } {
  switch (operation.kind) {
    case "open":
    case "close":
    case "sweep":
    case "hold":
    case "release":
    case "settle":
      return { model, answer: true };
    case "put": {
      const { key, body, condition, via } = operation;
      return put(model, { key, object: { body, via }, condition });
    }
    case "fill": {
      const { key, body } = operation;
      const old = cellOf(model, key);
      // It was fetched later than what the mirror has stored before.
      const isLater = old.via === "mirror" && old.body !== body;
      const condition = isLater ? { over: old.body! } : "absent";
      const { model: next } = put(model, { key, object: { body, via: "mirror" }, condition });
      return { model: next, answer: true };
    }
    case "copy": {
      const source = cellOf(model, operation.key);
      if (source.state !== "object") return { model, answer: null };
      // A copy has no origin, so it counts as an upload.
      const object = { body: source.body!, via: "upload" } as const;
      return put(model, { key: operation.to, object, condition: operation.condition });
    }
    default:
      return change(model, operation);
  }
}

function put(
  model: Model,
  {
    key,
    object,
    condition,
  }: { readonly key: string; readonly object: Pick<Cell, "body" | "via">; readonly condition: Condition },
) {
  const old = cellOf(model, key);
  const refusal = refusalOf(old, condition);
  if (refusal !== undefined) return { model, answer: refusal };
  const epoch = old.epoch + (condition === "always" || condition === "vacant" ? 1 : 0);
  const cell: Cell = { state: "object", epoch, body: object.body!, via: object.via!, isStale: false };
  return { model: withCell(model, key, cell), answer: "stored" };
}

/** An upload (`vacant`, `always`) replaces a tombstone; a mirrored object never does. */
function refusalOf({ state, body }: Cell, condition: Condition): "deleted" | "exists" | undefined {
  if (condition === "always") return undefined;
  if (condition === "vacant") return state === "object" ? "exists" : undefined;
  if (state === "tombstone") return "deleted";
  const isMet = condition === "absent" ? state === "absent" : body === condition.over;
  return isMet ? undefined : "exists";
}

function change(model: Model, operation: Extract<StoreOperation, { kind: "delete" | "undelete" | "read" | "purge" }>) {
  const { kind, key } = operation;
  const old = cellOf(model, key);
  const isObject = old.state === "object";
  switch (kind) {
    case "read":
      return { model, answer: old.body ?? null };
    case "delete":
      return { model: withCell(model, key, { state: "tombstone", epoch: old.epoch + 1 }), answer: isObject };
    case "undelete":
      if (old.state !== "tombstone") return { model, answer: false };
      return { model: withCell(model, key, { state: "absent", epoch: old.epoch }), answer: true };
    case "purge": {
      const isMirrored = isObject && old.via === "mirror";
      const epoch = old.epoch + 1;
      const next: Cell =
        isMirrored && operation.hard
          ? { state: "absent", epoch }
          : { ...old, epoch, ...(isObject ? { isStale: isMirrored } : {}) };
      return { model: withCell(model, key, next), answer: isMirrored };
    }
  }
}

function withCell(model: Model, key: string, cell: Cell): Model {
  return new Map(model).set(key, cell);
}

/** The model's objects and bytes, counted as a bucket does. */
export function usageOf(model: Model): { readonly objects: number; readonly bytes: number } {
  const bodies = [...model.values()].flatMap(({ body }) => body ?? []);
  return { objects: bodies.length, bytes: bodies.reduce((sum, body) => sum + bytesOfNumber(body).length, 0) };
}

/** The crash lab's bodies are numbered from 1 to this. */
const BODIES = 40;

/** The number of the body with these bytes; -1 if there is none, so they are torn or mixed. */
export function numberOfBytes(bytes: Buffer): number {
  for (let number = 1; number <= BODIES; number += 1) {
    if (bytesOfNumber(number).equals(bytes)) return number;
  }
  return -1;
}
