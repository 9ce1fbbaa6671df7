// The logins of browsers at the admin port: in memory, bounded, and ended by idleness, age or a logout. It checks no
// token: access.ts does.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

export interface Session {
  /** The id that the cookie holds: 256 random bits. */
  readonly id: string;
  /** 256 random bits, which calls that change something send back. */
  readonly csrfToken: string;
}

export interface Sessions {
  begin(): Session;
  /** Undefined if there is none, or if it has ended. A found session is used: its idle time begins anew. */
  find(id: string): Session | undefined;
  end(id: string): void;
  endAll(): void;
}

/** Only logins with the token make sessions, so a limit is reached by programs that log in again and again. */
export const MAX_SESSIONS = 100;
/** An open page has requests all the time; see Live. */
const IDLE_MS = 3_600_000;
const LIFE_MS = 86_400_000;

/** `clock`: milliseconds, never set back. */
export function createSessions(clock: () => number): Sessions {
  // By a digest of the id, so that the time of a look-up reveals nothing. Least recently used first.
  const sessions = new Map<string, Session & { readonly endsAt: number; readonly idleAt: number }>();
  const nameOf = (id: string) => createHash("sha256").update(id).digest("base64url");
  const random = () => randomBytes(32).toString("base64url");
  return {
    begin() {
      const now = clock();
      const session = { id: random(), csrfToken: random(), endsAt: now + LIFE_MS, idleAt: now + IDLE_MS };
      sessions.set(nameOf(session.id), session);
      const [oldest = ""] = sessions.keys();
      if (sessions.size > MAX_SESSIONS) sessions.delete(oldest);
      return session;
    },
    find(id) {
      const name = nameOf(id);
      const session = sessions.get(name);
      sessions.delete(name);
      const now = clock();
      if (session === undefined || now >= Math.min(session.endsAt, session.idleAt)) return undefined;
      sessions.set(name, { ...session, idleAt: now + IDLE_MS });
      return session;
    },
    end: (id) => void sessions.delete(nameOf(id)),
    endAll: () => sessions.clear(),
  };
}

/** Compares in constant time, and by hash, so that the time does not reveal the length of a secret either. */
export function isSameSecret(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
