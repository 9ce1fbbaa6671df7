// The icons of the navigation and of buttons, and the mark. Their lines are drawn by style.css.
import { ICONS } from "../frame.ts";

export function Icon({ name }: { readonly name: keyof typeof ICONS }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={ICONS[name]} />
    </svg>
  );
}

/** The character 回: a square that comes back to the square inside it. */
export function Mark() {
  return (
    <svg viewBox="0 0 28 28" aria-hidden="true" focusable="false">
      <rect x="3" y="3" width="22" height="22" rx="5" />
      <rect x="10" y="10" width="8" height="8" rx="1.5" />
    </svg>
  );
}
