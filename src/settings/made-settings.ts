// Settings that a command makes from its arguments. JSON is YAML, so they pass the same checks as every settings file.
import { HuiyuanError } from "../core/errors.ts";
import { SettingsFaults } from "./faults.ts";
import { parseSettings } from "./load.ts";
import type { Settings } from "./schema/schema.ts";

/**
 * `file`: as an operator would write it. `cannot`: the action that fails, such as `Cannot mirror http://a.example`.
 * Throws settings_invalid with it. Faults have no position, because the user has not written this file.
 */
export function makeSettings(file: object, cannot: string): Settings {
  const readFile = (path: string): never => {
    throw new HuiyuanError("settings_invalid", `Cannot read "${path}": these settings read no files`);
  };
  try {
    return parseSettings(JSON.stringify(file), { env: {}, readFile, file: "huiyuan.yaml" });
  } catch (error) {
    if (!(error instanceof SettingsFaults)) throw error;
    const faults = new Set(error.faults.map(({ message }) => message));
    throw new HuiyuanError("settings_invalid", `${cannot}: ${[...faults].join("; ")}`, { cause: error });
  }
}
