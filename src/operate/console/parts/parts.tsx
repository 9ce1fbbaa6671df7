// The parts that all pages are made of: the page's frame of heading and content, states of loaded values, tables,
// figures, badges, texts to copy and a button that asks first.
import type { ReadonlySignal } from "@preact/signals";
import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Problem } from "../api.ts";
import type { Loaded } from "../load.ts";
import { failureHeadline } from "../text/failures.ts";
import { t } from "../text/text.ts";
import { Icon } from "./icons.tsx";

type Children = { readonly children?: ComponentChildren };

export function Page({ title, about, actions, children }: Children & PageProps) {
  useEffect(() => {
    document.title = `${title} · Huiyuan`;
  }, [title]);
  return (
    <div class="page">
      <header>
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          {about !== undefined && <p>{about}</p>}
        </div>
        {actions !== undefined && <div class="row">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface PageProps {
  readonly title: string;
  readonly about?: string;
  readonly actions?: ComponentChildren;
}

interface CardProps extends Partial<PageProps> {
  /** Its parts stand in a column, with space between them. */
  readonly isStack?: boolean;
}

export function Card({ title, about, actions, isStack, children }: Children & CardProps) {
  const id = useId();
  return (
    <section class="card" aria-labelledby={title === undefined ? undefined : id}>
      {title !== undefined && (
        <header>
          <div>
            <h2 id={id}>{title}</h2>
            {about !== undefined && <p class="hint">{about}</p>}
          </div>
          {actions !== undefined && <div class="row">{actions}</div>}
        </header>
      )}
      {isStack ? <div class="stack">{children}</div> : children}
    </section>
  );
}

interface ShowProps<Value> {
  readonly of: ReadonlySignal<Loaded<Value>>;
  readonly reload?: () => void;
  /** Lines of the placeholder. */
  readonly lines?: number;
  readonly children: (value: Value) => ComponentChildren;
}

/** A loaded value in one of its states: loading, failed, stale or right now. */
export function Show<Value>({ of, reload, lines = 4, children }: ShowProps<Value>) {
  const { value, problem } = of.value;
  return (
    <>
      {problem !== undefined && <ProblemNote problem={problem} retry={reload} />}
      {value !== undefined ? (
        <div class={problem === undefined ? "shown" : "shown is-stale"}>{children(value)}</div>
      ) : (
        problem === undefined && <Loading lines={lines} />
      )}
    </>
  );
}

export function Loading({ lines }: { readonly lines: number }) {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">{t("loading")}</span>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  );
}

export function ProblemNote({
  problem,
  retry,
}: {
  readonly problem: Problem;
  readonly retry?: (() => void) | undefined;
}) {
  const { status, message, code, requestId } = problem;
  const headline = failureHeadline(status);
  return (
    <div class="note bad" role="alert">
      {headline !== undefined && <strong>{headline}</strong>}
      <p>{status === 0 && message === "" ? t("noAnswer") : message}</p>
      <div class="row">
        {retry !== undefined && <Button label={t("again")} run={retry} />}
        {requestId !== "" && (
          <span class="hint mono">
            {code} · {requestId}
          </span>
        )}
      </div>
    </div>
  );
}

export function Empty({ title, hint, children }: Children & { readonly title: string; readonly hint?: string }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {hint !== undefined && <p>{hint}</p>}
      {children}
    </div>
  );
}

/** For tables that may be wider than the page. */
export function Scroll({ children }: Children) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it.
    <div class="scroll" tabIndex={0}>
      {children}
    </div>
  );
}

interface ButtonProps extends Pick<ButtonHTMLAttributes, "class" | "title" | "disabled" | "lang"> {
  readonly label: string;
  /** The thing that it acts on, if several buttons have one label. */
  readonly about?: string;
  /** Left out: it submits its form. */
  readonly run?: () => unknown;
}

export function Button({ label, about, run, ...more }: ButtonProps) {
  const name = about === undefined ? undefined : `${label}: ${about}`;
  return (
    <button type={run ? "button" : "submit"} aria-label={name} onClick={run && (() => void run())} {...more}>
      {label}
    </button>
  );
}

export type Tone = "good" | "warn" | "bad" | "plain";

export function Badge({ tone, children }: Children & { readonly tone: Tone }) {
  return <span class={`badge ${tone === "plain" ? "" : tone}`}>{children}</span>;
}

interface FigureProps {
  readonly name: string;
  /** Undefined: not known yet. */
  readonly value: string | undefined;
  readonly hint?: string | undefined;
}

/** In a list of figures: `dl` of class `figures`. */
export function Figure({ name, value, hint = "" }: FigureProps) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>{value ?? "–"}</dd>
      <dd class="hint">{hint}</dd>
    </div>
  );
}

interface CopyProps {
  readonly text: string;
  /** The thing that is copied, if several buttons have one name. */
  readonly about?: string;
}

export function CopyButton({ text, about }: CopyProps) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <button type="button" class="quiet" onClick={() => void copy()}>
      <Icon name="copy" />
      <span aria-live="polite">
        {t(isCopied ? "copied" : "copy")}
        {about !== undefined && <span class="visually-hidden"> {about}</span>}
      </span>
    </button>
  );
}

interface CopiedProps extends CopyProps {
  /** Opens it in a new tab. */
  readonly isLink?: boolean;
}

/** A text to copy, such as a URL or a command, under its name. */
export function Copied({ text, about, isLink = false }: CopiedProps) {
  const code = <code>{text}</code>;
  return (
    <div class="stack tight">
      {about !== undefined && <h3>{about}</h3>}
      <div class="copied-text">
        <pre>
          {isLink ? (
            <a href={text} target="_blank" rel="noreferrer">
              {code}
            </a>
          ) : (
            code
          )}
        </pre>
        <CopyButton text={text} {...(about !== undefined && { about })} />
      </div>
    </div>
  );
}

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

/** With a head. It scrolls sideways if it is wider than the page. */
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

interface ConfirmProps {
  readonly label: string;
  readonly question: string;
  readonly run: () => void;
}

/** A button that asks before it does what cannot be taken back. */
export function ConfirmButton({ label, question, run }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const close = () => dialog.current?.close();
  const confirm = () => {
    close();
    run();
  };
  return (
    <>
      <Button label={label} class="danger" run={() => dialog.current?.showModal()} />
      <dialog ref={dialog} aria-labelledby={id}>
        <div class="stack">
          <h2 id={id}>{label}</h2>
          <p>{question}</p>
          <div class="row">
            {/* The first button has the focus. */}
            <Button label={t("cancel")} run={close} />
            <Button label={label} class="danger" run={confirm} />
          </div>
        </div>
      </dialog>
    </>
  );
}
