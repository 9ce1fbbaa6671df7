// Text generators for property tests.
import fc from "fast-check";

const [SURROGATES, SURROGATES_END, CHARACTERS_END] = [0xd800, 0xe000, 0x110000];
const HOW_MANY_SURROGATES = SURROGATES_END - SURROGATES;

/** Any character, each equally likely. `unit: "binary"` is the same, but takes seconds to start in each test file. */
const character = fc
  .nat({ max: CHARACTERS_END - HOW_MANY_SURROGATES - 1 })
  .map((number) => String.fromCodePoint(number < SURROGATES ? number : number + HOW_MANY_SURROGATES));

/** Any well-formed text. */
export function anyText(
  lengths: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...lengths, unit: character });
}
