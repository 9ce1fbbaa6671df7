// A table with a head. It scrolls sideways if it is wider than the page.
import type { ComponentChildren } from "preact";
import { Scroll } from "./parts.tsx";

interface TableProps<Name> {
  /** Shows the words of the head. */
  readonly t: (name: Name) => string;
  /** The head of `changes`, a column of buttons, is for screen readers only. */
  readonly head: readonly Name[];
  /** The columns of numbers. */
  readonly numbers?: readonly Name[];
  /** Columns keep their widths while values change. */
  readonly isSteady?: boolean;
  /** The rows. */
  readonly children: ComponentChildren;
}

export function Table<Name extends string>({ t, head, numbers = [], isSteady = false, children }: TableProps<Name>) {
  return (
    <Scroll>
      <table class={isSteady ? "steady" : ""}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col" class={numbers.includes(name) ? "number" : ""}>
                {name === "changes" ? <span class="visually-hidden">{t(name)}</span> : t(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </Scroll>
  );
}
