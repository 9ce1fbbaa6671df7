// The live figures of the server, one event a second, and the last minutes of them. A lost connection is noticed.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { urlOf } from "../../console/api.ts";
import type { LiveFigures } from "../contract.ts";

/** The last events: five minutes. */
export const KEPT = 300;
const SILENCE_MS = 5_000;
const REOPEN_MS = 3_000;

export const moments = signal<readonly LiveFigures[]>([]);
/** False: the figures on the page are old. */
export const isConnected = signal(false);

/** Listens while a page shows the figures. */
export function useLive(): void {
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const lose = () => {
      isConnected.value = false;
    };
    const after = (milliseconds: number, run: () => void) => {
      clearTimeout(timer);
      timer = setTimeout(run, milliseconds);
    };
    const open = () => {
      source = new EventSource(urlOf("/live"));
      source.onmessage = ({ data }: MessageEvent<string>) => {
        isConnected.value = true;
        after(SILENCE_MS, lose);
        moments.value = [...moments.value.slice(1 - KEPT), JSON.parse(data) as LiveFigures];
      };
      source.onerror = () => {
        // A stream ends after some minutes, and the browser opens it again after a second. It gives up after a refusal.
        if (source?.readyState !== EventSource.CLOSED) return;
        lose();
        after(REOPEN_MS, open);
      };
    };
    open();
    return () => {
      clearTimeout(timer);
      source?.close();
      lose();
    };
  }, []);
}
