// Makes the request for a migration from what was filled in. Pure.
import type { InputOf } from "../../admin/contract/contract.ts";
import type { createMigration } from "../contract.ts";

type Request = InputOf<typeof createMigration>;

/** Controls whose name has a dot are options of the config. `bucket` is `<appid>/<name>` of the target. */
export function requestOf(data: FormData): Request {
  const given = new Map([...data].map(([name, value]) => [name, String(value)]));
  const text = (name: string) => given.get(name)?.trim() || undefined;
  const kind = text("kind") ?? "";
  const isOfDomain = kind === "origins";
  const [appid, bucket] = (text("bucket") ?? "").split("/");
  const options = [...given].flatMap(([name, value]) =>
    name.includes(".") && value.trim() !== "" ? [[name, value.trim()] as const] : [],
  );
  return {
    id: text("id") ?? "",
    config: {
      ...(!isOfDomain && { "migrate.type": kind }),
      ...(appid !== undefined && bucket !== undefined && { "appinfo.appid": appid, "appinfo.bucket": bucket }),
      ...Object.fromEntries(options),
    },
    fromOrigin: isOfDomain ? text("fromOrigin") : undefined,
    // A list that is empty is still a list: the server says what it lacks.
    list: given.get("list"),
    sitemap: text("sitemap"),
    overwrite: (text("overwrite") ?? "never") as Request["overwrite"],
    acceptSuspect: given.has("acceptSuspect"),
  };
}
