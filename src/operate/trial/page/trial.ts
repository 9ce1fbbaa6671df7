// The script of the trial's page, which the server writes: it moves the border of the two pictures, says what a pressed
// button does, and takes new figures from a new page when pictures have come. The page works without it.

const QUIET_MS = 300;

function moveBorder(slider: HTMLElement): void {
  const range = slider.querySelector("input");
  if (range === null) return;
  const move = () => slider.style.setProperty("--at", `${range.value}%`);
  range.hidden = false;
  range.addEventListener("input", move);
  // A browser keeps its value over a reload.
  move();
}

function sayWhatHappens(form: HTMLFormElement): void {
  form.addEventListener("submit", () => {
    const button = form.querySelector<HTMLButtonElement>("button[data-busy]");
    const text = button?.dataset.busy;
    if (button === null || text === undefined) return;
    button.disabled = true;
    button.textContent = text;
  });
}

async function takeFigures(): Promise<void> {
  const answer = await fetch(location.pathname + location.search);
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const newer = next.getElementById(part.id);
    if (newer !== null && newer.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(newer));
  }
}

let pending: ReturnType<typeof setTimeout> | undefined;
function takeFiguresSoon(event: Event): void {
  if (!(event.target instanceof HTMLImageElement)) return;
  clearTimeout(pending);
  pending = setTimeout(() => void takeFigures().catch(() => undefined), QUIET_MS);
}

for (const slider of document.querySelectorAll<HTMLElement>(".slider")) moveBorder(slider);
for (const form of document.forms) sayWhatHappens(form);
// Neither event of an image bubbles.
document.addEventListener("load", takeFiguresSoon, true);
document.addEventListener("error", takeFiguresSoon, true);
addEventListener("load", () => void takeFigures().catch(() => undefined));
