// Line icons of the navigation and of buttons, 24 units wide. They are decoration: the words beside them say the same.
const PATHS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  buckets: "M4 7c0-4 16-4 16 0s-16 4-16 0zM4 7l2 12c1 3 11 3 12 0l2-12",
  images: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 6M15.5 9.5h.01",
  origins: "M12 3a9 9 0 1 0 9 9M12 7v5l3 2M17 3l4 0 0 4",
  migration: "M4 7h11M11 3l4 4-4 4M20 17H9M13 13l-4 4 4 4",
  logs: "M5 4h14v16H5zM9 9h6M9 13h6M9 17h3",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M6 14v6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18M15 5v14M18 7v10",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

/** The character 回: a square that comes back to the square inside it. */
export function Mark() {
  return (
    <svg viewBox="0 0 28 28" fill="none" stroke="currentColor" stroke-width="2.6" aria-hidden="true" focusable="false">
      <rect x="3" y="3" width="22" height="22" rx="5" />
      <rect x="10" y="10" width="8" height="8" rx="1.5" />
    </svg>
  );
}
