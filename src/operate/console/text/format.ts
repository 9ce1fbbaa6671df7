// Numbers, sizes, times and durations for people, with their units.
import { locale, t } from "./text.ts";

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

const formatters = new Map<string, object>();

/** Makes a formatter once: that costs up to a millisecond, and a page shows hundreds of values. */
export function formatter<Format extends object, Options>(
  kind: new (locale: string, options: Options) => Format,
  options: Options,
): Format {
  const key = `${kind.name} ${locale()} ${JSON.stringify(options)}`;
  const known = (formatters.get(key) as Format | undefined) ?? new kind(locale(), options); // the key names the kind
  formatters.set(key, known);
  return known;
}

export function count(value: number): string {
  return formatter(Intl.NumberFormat, {}).format(value);
}

/** 1,000 based, three digits: `12.3 MB`. */
export function bytes(value: number): string {
  // A value that would be rounded to 1,000 has the next unit.
  const power = value < 1_000 ? 0 : Math.min(Math.floor(Math.log10(value * 1.0005) / 3), UNITS.length - 1);
  const scaled = value / 1_000 ** power;
  const digits = power === 0 || scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2;
  return `${formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(scaled)} ${UNITS[power]}`;
}

/** `share` from 0 to 1. */
export function percent(share: number): string {
  const options = { style: "percent", maximumFractionDigits: share > 0.995 && share < 1 ? 2 : 1 } as const;
  return formatter(Intl.NumberFormat, options).format(share);
}

export function milliseconds(value: number): string {
  if (value >= 10_000) return duration(value / 1_000);
  return value >= 1_000
    ? `${(value / 1_000).toFixed(1)} s`
    : `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Two units at most: `3 h 12 min`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const names = [t("unitDays"), t("unitHours"), t("unitMinutes"), t("unitSeconds")];
  const first = parts.findIndex((part) => part > 0);
  if (first < 0) return `0 ${names[3]}`;
  return parts
    .slice(first, first + 2)
    .map((part, index) => ({ part, name: names[first + index] }))
    .filter(({ part }) => part > 0)
    .map(({ part, name }) => `${part} ${name}`)
    .join(" ");
}

/** Date and time of the reader's own zone. */
export function moment(iso: string): string {
  return formatter(Intl.DateTimeFormat, { dateStyle: "medium", timeStyle: "medium" } as const).format(new Date(iso));
}

/** `3 minutes ago`. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1_000;
  const steps = [
    [86_400, "day"],
    [3_600, "hour"],
    [60, "minute"],
    [1, "second"],
  ] as const;
  const [size, unit] = steps.find(([step]) => Math.abs(seconds) >= step) ?? [1, "second"];
  return formatter(Intl.RelativeTimeFormat, { numeric: "auto" } as const).format(Math.round(seconds / size), unit);
}
