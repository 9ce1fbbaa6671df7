// The gate of what the renderer makes: images as any other, and the JSON of facts about one.
import { createGate, type Gate } from "./gate.ts";

const OPENING_BRACE = 0x7b;

/** No image begins with a brace; what does is taken as it came, from this program itself. */
export function createVariantGate(): Gate {
  const gate = createGate();
  const json = { format: "json", width: undefined, height: undefined } as const;
  let isJson: boolean | undefined;
  return {
    push(chunk) {
      isJson ??= chunk[0] === OPENING_BRACE;
      if (!isJson) gate.push(chunk);
    },
    get head() {
      return isJson ? "image" : gate.head;
    },
    get image() {
      return isJson ? json : gate.image;
    },
    get isStructureWhole() {
      return isJson || gate.isStructureWhole;
    },
    verdict: (end) => (isJson ? { kind: "whole", image: json } : gate.verdict(end)),
  };
}
