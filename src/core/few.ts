// Names the first of many in a message, because a list of thousands would help nobody.

const FEW = 5;

/** Such as `a, b, c, d, e, 7 more`; `none` if there is none. */
export function few(names: readonly string[]): string {
  const more = names.length > FEW ? [`${names.length - FEW} more`] : [];
  return [...names.slice(0, FEW), ...more].join(", ") || "none";
}
