// The button that asks in a dialog before it acts.
import { useId, useRef } from "preact/hooks";
import { t } from "../text/text.ts";

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
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-labelledby={id}>
        <div class="stack">
          <h2 id={id}>{label}</h2>
          <p>{question}</p>
          <div class="row">
            {/* The first button has the focus. */}
            <button type="button" onClick={close}>
              {t("cancel")}
            </button>
            <button type="button" class="danger" onClick={confirm}>
              {label}
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
