// Reads the settings file for a running server. Parsing and checking a large file takes seconds, so that is done in a
// thread, and downloads go on.
import { createThread, type Thread } from "../../async/thread.ts";
import { SettingsFaults } from "../faults.ts";
import { readSettingsText } from "../load.ts";
import type { Settings } from "../schema/schema.ts";
import { fromSlices } from "./slices.ts";
import { createTextJobs, type TextJobs, type TextPlace } from "./text-jobs.ts";

export interface SettingsReader {
  readonly place: TextPlace;
  readonly run: Thread<TextJobs>["run"];
  /** As loadSettings(), with the version of the file. */
  load(): Promise<{ readonly settings: Settings; readonly version: string }>;
  /** Absolute paths of the files that a text of the settings names. */
  names(text: string): Promise<readonly string[]>;
}

/** Smaller texts are read before a thread could start. Characters. */
const LARGE = 16_384;

export function createSettingsReader({ file, env }: TextPlace): SettingsReader {
  const place: TextPlace = { file, env: { ...env } };
  const here = createTextJobs();
  const thread = createThread<TextJobs>({ file: "text-thread.js", from: import.meta.url });
  const run: SettingsReader["run"] = async (name, ...args) => {
    if (args[0].length >= LARGE) return thread.run(name, ...args);
    const job = here[name] as (...given: typeof args) => ReturnType<TextJobs[typeof name]>;
    return job(...args);
  };
  return {
    place,
    run,
    async load() {
      const { text, version } = await readSettingsText(file);
      const read = await run("slices", text, place);
      if ("faults" in read) throw new SettingsFaults(file, read.faults);
      return { settings: await fromSlices(read), version };
    },
    names: (text) => run("names", text, place),
  };
}
