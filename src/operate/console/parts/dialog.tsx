// Dialogs, and the button that asks before it acts.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../text/text.ts";

interface DialogProps {
  readonly children: ComponentChildren;
  readonly title: string;
  readonly close: () => void;
}

/** Open as long as it is on the page. */
function Dialog({ title, close, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog ref={element} onClose={close} aria-labelledby={id}>
      <div class="stack">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** A button that asks before it does what cannot be taken back. */
export function ConfirmButton({ label, question, run }: ConfirmProps) {
  const [isAsking, setAsking] = useState(false);
  const confirm = () => {
    setAsking(false);
    run();
  };
  return (
    <>
      <button type="button" class="danger" onClick={() => setAsking(true)}>
        {label}
      </button>
      {isAsking && (
        <Dialog title={label} close={() => setAsking(false)}>
          <p>{question}</p>
          <div class="row">
            {/* The first button has the focus. */}
            <button type="button" onClick={({ currentTarget }) => currentTarget.closest("dialog")?.close()}>
              {t("cancel")}
            </button>
            <button type="button" class="danger" onClick={confirm}>
              {label}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

interface ConfirmProps {
  readonly label: string;
  readonly question: string;
  readonly run: () => void;
}
