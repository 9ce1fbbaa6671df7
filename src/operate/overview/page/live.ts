// The live figures of the server, once a second, and the last minutes of them. A lost connection is noticed.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../console/api.ts";
import type { LiveFigures } from "../contract.ts";

/** The last answers: five minutes. */
export const KEPT = 300;
const EVERY_MS = 1_000;
const SILENCE_MS = 5_000;

export const moments = signal<readonly LiveFigures[]>([]);
/** False: the figures on the page are old. */
export const isConnected = signal(false);

/** Asks for them while a page shows the figures. */
export function useLive(): void {
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(SILENCE_MS)]);
      const figures = await get<LiveFigures>("/live", {}, signal).catch(() => undefined);
      if (leaving.signal.aborted) return;
      isConnected.value = figures !== undefined;
      if (figures !== undefined) moments.value = [...moments.value.slice(1 - KEPT), figures];
      timer = setTimeout(() => void ask(), EVERY_MS);
    };
    void ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
      isConnected.value = false;
    };
  }, []);
}
