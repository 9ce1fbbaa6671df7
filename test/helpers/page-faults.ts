// Finds faults of a page in Chromium that a reader would see: faults of accessibility, words that are cut off or lie
// upon each other, controls whose focus cannot be seen, and content that moves by itself.
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

/** Visible parts of the page's texts, as boxes. Text of the page: compiled functions would need helpers. */
const BOXES = `(() => {
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (node.data.trim() === "" || !parent.checkVisibility({ visibilityProperty: true })) continue;
    if (parent.closest(".visually-hidden, .skip, option") !== null) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const { left, top, right, bottom } of range.getClientRects()) {
      const box = { text: node.data.slice(0, 40), left, top, right, bottom, isCut: false };
      // The room of a line is higher than its letters.
      const spare = (bottom - top) / 6;
      box.top += spare;
      box.bottom -= spare;
      for (let each = parent; each !== null; each = each.parentElement) {
        if (getComputedStyle(each).overflowX === "visible") continue;
        const around = each.getBoundingClientRect();
        box.left = Math.max(box.left, around.left);
        box.right = Math.min(box.right, around.right);
      }
      if (box.right - box.left > 1) boxes.push(box);
    }
  }
  return boxes;
})()`;

interface Box {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Pairs of texts that lie upon each other, and texts that end outside of the window. */
export async function overlapsOf(page: Page): Promise<readonly string[]> {
  const boxes = (await page.evaluate(BOXES)) as readonly Box[];
  const width = (await page.evaluate("document.documentElement.clientWidth")) as number;
  const overlaps = boxes.flatMap((one, index) =>
    boxes
      .slice(index + 1)
      .filter((other) => sharedBy(one.left, one.right, other.left, other.right) > 1)
      .filter((other) => sharedBy(one.top, one.bottom, other.top, other.bottom) > 1)
      .map((other) => `"${one.text}" and "${other.text}" overlap`),
  );
  const outside = boxes
    .filter(({ left, right }) => left < -1 || right > width + 1)
    .map(({ text }) => `"${text}" is cut`);
  return [...overlaps, ...outside];
}

function sharedBy(low: number, high: number, otherLow: number, otherHigh: number): number {
  return Math.min(high, otherHigh) - Math.max(low, otherLow);
}

const FOCUSED = `(() => {
  const element = document.activeElement;
  if (element === null || element === document.body) return undefined;
  // An invisible control inside a label shows its focus there.
  const shown = [element, element.closest("label")].find((each) => each !== null && hasRing(each));
  function hasRing(each) {
    const { outlineStyle, outlineWidth, opacity } = getComputedStyle(each);
    const { width } = each.getBoundingClientRect();
    return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2 && width > 8 && opacity !== "0";
  }
  const isNew = element.dataset.visited === undefined;
  element.dataset.visited = "";
  return { isNew, hasRing: shown !== undefined, html: element.outerHTML.slice(0, 120) };
})()`;

interface Focused {
  /** False: the keyboard has come round. */
  readonly isNew: boolean;
  readonly hasRing: boolean;
  readonly html: string;
}

/** Walks over the page's controls with Tab. Throws if there is none. */
export async function hiddenFocusOf(page: Page, most = 60): Promise<readonly string[]> {
  const visited: Focused[] = [];
  while (visited.length < most) {
    await page.keyboard.press("Tab");
    const focused = (await page.evaluate(FOCUSED)) as Focused | undefined;
    if (focused?.isNew !== true) break;
    visited.push(focused);
  }
  if (visited.length === 0) throw new Error(`${page.url()}: Tab reaches nothing`);
  return visited
    .filter(({ hasRing }) => !hasRing)
    .map(({ html }) => `${page.url()}: the focus is invisible on ${html}`);
}

const SHIFTS = `
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries())
      if (!hadRecentInput) shifts.push({ value, where: sources.map(({ node }) => node?.parentElement?.outerHTML.slice(0, 160)) });
  }).observe({ type: "layout-shift", buffered: true });
`;

interface Shift {
  /** Share of the window, times the share of the distance. */
  readonly value: number;
  readonly where: readonly (string | undefined)[];
}

/** Call it before the page is opened. */
export async function watchShifts(page: Page): Promise<void> {
  await page.addInitScript(SHIFTS);
}

/** Returns the shifts since the last call, and forgets them. */
export async function shiftsOf(page: Page): Promise<readonly Shift[]> {
  return (await page.evaluate("shifts.splice(0)")) as readonly Shift[];
}
