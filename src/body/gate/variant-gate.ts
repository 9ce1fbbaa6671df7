// The gate for rendered output: images, checked as by any gate, and JSON facts about an image.
import type { ImageFacts } from "../../core/object.ts";
import { type BodyEnd, createGate, type Gate, type Verdict } from "./gate.ts";

const OPENING_BRACE = 0x7b;
const JSON_FACTS: ImageFacts = { format: "json", width: undefined, height: undefined };

/** No image begins with a brace. A body that does is JSON from this program itself and is accepted unchecked. */
export function createVariantGate(): Gate {
  return new VariantGate();
}

/** A class: V8 makes a slow object of every literal with a getter. */
class VariantGate implements Gate {
  readonly #gate = createGate();
  #isJson: boolean | undefined;

  push(chunk: Buffer): void {
    this.#isJson ??= chunk[0] === OPENING_BRACE;
    if (!this.#isJson) this.#gate.push(chunk);
  }

  get head(): Gate["head"] {
    return this.#isJson ? "image" : this.#gate.head;
  }

  get image(): ImageFacts | undefined {
    return this.#isJson ? JSON_FACTS : this.#gate.image;
  }

  get isStructureWhole(): boolean {
    return this.#isJson || this.#gate.isStructureWhole;
  }

  verdict(end: BodyEnd): Verdict {
    return this.#isJson ? { kind: "whole", image: JSON_FACTS } : this.#gate.verdict(end);
  }
}
