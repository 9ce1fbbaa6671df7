// The live figures of the server, one event a second, and the last minutes of them. A lost connection is noticed.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Live } from "./answers.ts";
import { urlOf } from "./api.ts";

const KEPT = 300;

export const moments = signal<readonly Live[]>([]);
/** False: the figures on the page are old. */
export const isConnected = signal(false);

/** Listens while a page shows the figures. */
export function useLive(): void {
  useEffect(() => {
    const source = new EventSource(urlOf("/live"));
    source.onmessage = ({ data }: MessageEvent<string>) => {
      isConnected.value = true;
      moments.value = [...moments.value.slice(1 - KEPT), JSON.parse(data) as Live];
    };
    source.onerror = () => {
      isConnected.value = false;
    };
    return () => source.close();
  }, []);
}
