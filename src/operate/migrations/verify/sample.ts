// The random sample of objects that a verification compares by hash.

export const DEFAULT_SAMPLE = "1000";

/** Whether the text is a number of objects from 1, or a share of them such as `5%`. */
export function isSample(text: string): boolean {
  const [, digits, percent] = /^(\d{1,15}(?:\.\d{1,3})?)(%?)$/.exec(text) ?? [];
  const value = Number(digits);
  return percent === "%" ? value > 0 && value <= 100 : value >= 1 && Number.isInteger(value);
}

/** The number of objects of a sample, if there are `all`. */
export function sampleSize(sample: string, all: number): number {
  const value = Number.parseFloat(sample);
  return sample.endsWith("%") ? Math.ceil((all * value) / 100) : value;
}

/** True for `wanted` of `total` calls, each set of calls as likely as any other (Knuth's algorithm S). */
export function createSample(wanted: number, total: number, random = Math.random): () => boolean {
  let [needed, left] = [wanted, total];
  return () => {
    const isChosen = random() * left < needed;
    left -= 1;
    if (isChosen) needed -= 1;
    return isChosen;
  };
}
