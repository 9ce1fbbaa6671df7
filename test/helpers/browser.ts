// Starts a real headless Chromium, for tests that declare `needs("chromium")`.
import { type Browser, chromium } from "playwright-core";
import { programPath } from "./services.ts";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The caller closes the browser. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = programPath("chromium");
  if (executablePath === undefined) throw new Error("Cannot start chromium: it is not on this machine");
  return await chromium.launch({ executablePath, args: ARGUMENTS, timeout: 60_000 });
}
