// Parses HTTP dates strictly. Date.parse() accepts texts that are no HTTP date: `5`, `foo-3`, a date in the local time
// zone.

const TIME = "(?<time>\\d{2}:\\d{2}:\\d{2})";
const FORMATS = [
  new RegExp(`^[A-Z][a-z]{2}, (?<day>\\d{2}) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2,5}day, (?<day>\\d{2})-(?<month>[A-Z][a-z]{2})-(?<year>\\d{2}) ${TIME} GMT$`),
  new RegExp(`^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
];

/**
 * Returns Unix seconds for the three date formats of RFC 9110 §5.6.7, undefined for any other text and for days that do
 * not exist. `now`, Unix milliseconds, decides the century of a two-digit year.
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
    // Date.parse() accepts 31 February and returns a day in March, so the result is formatted and compared.
    return new Date(milliseconds).toUTCString().endsWith(`, ${usual}`) ? milliseconds / 1_000 : undefined;
  }
  return undefined;
}

/** A two-digit year more than 50 years ahead means the past year with the same digits (RFC 9110 §5.6.7). */
function fullYearOf(twoDigits: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}
