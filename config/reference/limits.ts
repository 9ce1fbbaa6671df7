// Writes docs/reference/limits.md from limits.md beside this file: `{{…}}` there is the default of a setting, or a constant of
// the source, so that no bound is written twice.
import { readFileSync } from "node:fs";
import { originSchema } from "../../src/settings/schema/origin-schema.ts";
import { limitsSchema } from "../../src/settings/schema/server-schema.ts";
import { page } from "./markdown.ts";

const text = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

export function limitsPage(): string {
  return page(
    "Limits",
    text("./limits.md")
      .trim()
      .replace(/\{\{(.*?)\}\}/g, (_, source: string) => textOf(source)),
  );
}

/** `limits.fills`, `origin.connections`, or `MAX_REDIRECTS in serve/origin/exchange/hop.ts`. Throws if there is none. */
function textOf(source: string): string {
  const [name = "", file] = source.split(" in ");
  const value = file === undefined ? defaultOf(name) : constantOf(name, file);
  if (value === undefined || Number.isNaN(value))
    throw new Error(`Cannot find "${source}" of config/reference/limits.md`);
  if (/_MS$|Time$/.test(name)) return `${value / 1_000} s`;
  return name.endsWith("_BYTES") || SIZES.test(name) ? sizeText(value) : value.toLocaleString("en");
}

const SIZES = /^limits\.(?:memory|disk|\w+(?:Size|Memory|Disk))$/;

function defaultOf(name: string): number | undefined {
  const [group = "", key = ""] = name.split(".");
  const site = originSchema.parse({ type: "site", url: "http://example.com" });
  const parts: Readonly<Record<string, object>> = { limits: limitsSchema.parse({}), origin: site };
  return (parts[group] as Readonly<Record<string, number>> | undefined)?.[key];
}

/** The value of a constant such as `const MAX_UNREAD_BYTES = 64 * 1_048_576;`. */
function constantOf(name: string, file: string): number {
  const [, product = ""] =
    new RegExp(`^(?:export )?const ${name} = ([\\d_ *]+);`, "m").exec(text(`../../src/${file}`)) ?? [];
  return product === ""
    ? Number.NaN
    : product.split("*").reduce((value, factor) => value * Number(factor.replaceAll("_", "")), 1);
}

const UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, MB: 10 ** 6, GB: 10 ** 9 } as const;

/** Exact, in the unit with the smallest number: 65,536 is `64 KiB`, 256,000,000 is `256 MB`. */
function sizeText(bytes: number): string {
  const exact = Object.entries(UNITS).filter(([, size]) => bytes % size === 0);
  const [[unit, size] = ["B", 1]] = exact.toSorted(([, a], [, b]) => b - a);
  return `${bytes / size} ${unit === "B" ? "bytes" : unit}`;
}
