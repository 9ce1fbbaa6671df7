// Entries of the navigation and shapes of icons. The console draws the frame of a page in the browser, and the server
// writes it around the page of a trial, so this file imports nothing.

/** Line icons, 24 units wide. They are decoration: the words beside them say the same. */
export const ICONS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  buckets: "M4 7c0-4 16-4 16 0s-16 4-16 0zM4 7l2 12c1 3 11 3 12 0l2-12",
  images: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 6M15.5 9.5h.01",
  origins: "M12 3a9 9 0 1 0 9 9M12 7v5l3 2M17 3l4 0 0 4",
  migrations: "M4 7h11M11 3l4 4-4 4M20 17H9M13 13l-4 4 4 4",
  logs: "M5 4h14v16H5zM9 9h6M9 13h6M9 17h3",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4v6M6 14v6",
  trial: "M9 3h6M10 3v7l-5 8c-1 2 0 3 2 3h10c2 0 3-1 2-3l-5-8V3M8 15h8",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18M15 5v14M18 7v10",
  upload: "M12 16V4M7 9l5-5 5 5M4 20h16",
} as const;

/** Each name is that of its text and of its icon. */
const ENTRIES = [
  { path: "/", name: "overview" },
  { path: "/buckets", name: "buckets", only: "server" },
  { path: "/images", name: "images" },
  { path: "/origins", name: "origins" },
  { path: "/migrations", name: "migrations", only: "server" },
  { path: "/logs", name: "logs" },
  { path: "/settings", name: "settings", only: "server" },
  { path: "/trial", name: "trial", only: "trial" },
] as const;

/** A trial has no settings file, so it has no settings and buckets to edit, and no migrations. */
export const entriesOf = (isTrial: boolean) =>
  ENTRIES.filter((entry) => !("only" in entry) || entry.only === (isTrial ? "trial" : "server"));
