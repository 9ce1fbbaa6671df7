// The parts that all pages are made of: the page's frame of heading and content, states of loaded values, figures,
// badges and fields.
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren, InputHTMLAttributes, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
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

export function Card({ title, about, actions, children }: Children & Partial<PageProps>) {
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
      {children}
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
        {retry !== undefined && (
          <button type="button" onClick={retry}>
            {t("again")}
          </button>
        )}
        {requestId !== "" && (
          <span class="hint mono">
            {code} · {requestId}
          </span>
        )}
      </div>
    </div>
  );
}

export function Empty({ title, children }: Children & { readonly title: string }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
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

interface FieldProps extends Children {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly fault?: ComponentChildren;
  /** Makes the control; its properties tie it to label, hint and fault. */
  readonly control: (properties: ControlProps) => JSX.Element;
}

export interface ControlProps {
  readonly id: string;
  readonly "aria-describedby": string | undefined;
  readonly "aria-invalid": boolean;
}

export function Field({ label, hint, fault, control }: FieldProps) {
  const id = useId();
  const described = [hint === undefined ? [] : `${id}-hint`, fault === undefined ? [] : `${id}-fault`].flat().join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {control({
        id,
        "aria-describedby": described === "" ? undefined : described,
        "aria-invalid": fault !== undefined,
      })}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {fault !== undefined && (
        <p class="fault" id={`${id}-fault`} role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}

export interface TextInputProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, "value" | "type" | "onInput" | "onChange"> {
  readonly value: string;
  /** Gets the text when the field is left, or after Enter. */
  readonly set?: (text: string) => void;
  /** Gets the text at each key. */
  readonly typing?: (text: string) => void;
  readonly type?: string;
  /** For more than one line. */
  readonly rows?: number;
}

/** A field of text. While someone types, nothing rewrites it; once it is left, it shows `value`. */
export function TextInput({ value, set, typing, rows, ...more }: TextInputProps) {
  const [typed, setTyped] = useState<string>();
  const all = {
    ...(more as object),
    value: typed ?? value,
    onInput: ({ currentTarget: { value: text } }: { readonly currentTarget: { readonly value: string } }) => {
      setTyped(text);
      typing?.(text);
    },
    onChange: ({ currentTarget }: { readonly currentTarget: { readonly value: string } }) => {
      setTyped(undefined);
      set?.(currentTarget.value);
    },
    onBlur: () => setTyped(undefined),
  };
  return rows === undefined ? <input {...all} /> : <textarea {...all} rows={rows} />;
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
