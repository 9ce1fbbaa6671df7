// Finds faults of a page in Chromium that a reader would see.
import axe from "axe-core";
import type { Page } from "playwright-core";

/** Serious faults of accessibility, and a page or a text wider than the window. */
export async function faultsOf(page: Page): Promise<readonly string[]> {
  // Evaluated by the debugger, which the policy of the page does not bind.
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as axe.AxeResults;
  const isWide = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const texts = serious.map(({ id, nodes }) => `${id} ${nodes.map(({ html }) => html).join(" ")}`);
  return [...texts, ...(isWide ? ["too wide"] : [])].map((text) => `${page.url()}: ${text}`);
}
