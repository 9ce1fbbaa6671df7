// The dates of HTTP, read strictly: what Date.parse takes for one (`5`, `foo-3`, a date in the machine's own zone) is none.

const TIME = "(?<time>\\d{2}:\\d{2}:\\d{2})";
const FORMATS = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2,5}day, (?<day>\\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/**
 * Unix seconds of the three date formats of RFC 9110 §5.6.7; undefined for anything else and for days that are in no
 * calendar. `now`, Unix milliseconds, decides the century of a two-digit year.
 */
export function parseHttpDate(text: string, now: number = Date.now()): number | undefined {
  const date = text.trim();
  for (const format of FORMATS) {
    const parts = format.exec(date)?.groups;
    if (parts === undefined) continue;
    const { day = "", month, year = "", time } = parts;
    const fullYear = year.length === 2 ? fullYearOf(Number(year), now) : year;
    const usual = `${day.trim().padStart(2, "0")} ${month} ${fullYear} ${time} GMT`;
    const milliseconds = Date.parse(usual);
    // Date.parse carries 31 February over into March; what it reads back as tells.
    return new Date(milliseconds).toUTCString().endsWith(`, ${usual}`) ? milliseconds / 1_000 : undefined;
  }
  return undefined;
}

/** A year that would lie more than 50 years ahead is the past one with the same digits (RFC 9110 §5.6.7). */
function fullYearOf(twoDigits: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}
