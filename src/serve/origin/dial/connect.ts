// Opens one guarded connection: resolve the name, check every address, dial a checked literal, check the peer's
// address. The only place of this program that dials by name. It knows no HTTP and keeps no connection.
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { withTimeout } from "../../../async/cancellation.ts";
import { type AddressClass, isForbiddenPort } from "../../../core/addresses.ts";
import { HuiyuanError } from "../../../core/errors.ts";
import type { Resolve } from "./lookup.ts";

/** The server to connect to. */
export interface Endpoint {
  readonly isSecure: boolean;
  /** A name or a literal address, IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** The name for TLS (SNI and verification) if `hostname` is a literal address; otherwise `hostname` is used. */
  readonly servername: string | undefined;
}

/** The rules for a connection. */
export interface ConnectRules {
  readonly resolve: Resolve;
  readonly classify: (address: string) => AddressClass;
  /** True if private addresses may be dialled for this host (no brackets, no trailing dot) and port. */
  readonly allowPrivate: (hostname: string, port: number) => boolean;
  /** Milliseconds for name, TCP and TLS together. */
  readonly timeoutMs: number;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca: string | undefined;
  /** The TLS session of an earlier connection to the same endpoint. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
}

/** The most addresses of one name that are dialled; each gets an equal part of the remaining time. */
const MAX_ATTEMPTS = 4;

/**
 * Returns a connected (and for https verified) socket. Throws origin_blocked, origin_name_unknown, origin_dns_timeout,
 * origin_dns_failed, origin_refused, origin_timeout, origin_tls, and overloaded if this process has no free descriptor.
 */
export async function connectGuarded(endpoint: Endpoint, rules: ConnectRules): Promise<Socket> {
  const deadline = performance.now() + rules.timeoutMs;
  if (isForbiddenPort(endpoint.port)) throw blocked(endpoint, `port ${endpoint.port} is never dialled`);
  const addresses = await lookUp(endpoint, rules);
  // One forbidden address blocks the name: with mixed records, the next lookup would decide which address a dial gets.
  for (const address of addresses) assertAllowed(address, endpoint, rules);
  const candidates = addresses.slice(0, MAX_ATTEMPTS);
  let failure = new HuiyuanError("origin_name_unknown", `Cannot look up "${endpoint.hostname}": it has no address`);
  for (const [index, address] of candidates.entries()) {
    const left = Math.max(1, (deadline - performance.now()) / (candidates.length - index));
    try {
      return await dial(address, endpoint, rules, left);
    } catch (error) {
      if (!(error instanceof HuiyuanError) || !isWorthAnotherAddress(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

function isWorthAnotherAddress(error: HuiyuanError): boolean {
  return error.code === "origin_refused" || error.code === "origin_timeout";
}

async function lookUp(endpoint: Endpoint, rules: ConnectRules): Promise<readonly string[]> {
  const { hostname } = endpoint;
  if (isIP(hostname) !== 0) return [hostname];
  const message = `Cannot look up "${hostname}": no response in ${rules.timeoutMs} ms`;
  return withTimeout(rules.timeoutMs, rules.resolve(hostname), message, "origin_dns_timeout");
}

function assertAllowed(address: string, endpoint: Endpoint, rules: ConnectRules): void {
  const found = rules.classify(address);
  if (found === "public") return;
  const host = endpoint.hostname.replace(/\.$/, "");
  if (found === "private" && rules.allowPrivate(host, endpoint.port)) return;
  throw blocked(endpoint, `its address ${address} is ${found}`);
}

function blocked(endpoint: Endpoint, found: string): HuiyuanError {
  return new HuiyuanError("origin_blocked", `Cannot dial "${endpoint.hostname}:${endpoint.port}": ${found}`);
}

function dial(address: string, endpoint: Endpoint, rules: ConnectRules, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = open(address, endpoint, rules);
    let isTcpUp = false;
    const fail = (error: HuiyuanError) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const succeed = () => {
      clearTimeout(timer);
      resolve(socket);
    };
    const timer = setTimeout(() => {
      const phase = isTcpUp ? "the TLS handshake" : "the connection";
      const message = `Cannot dial "${endpoint.hostname}" at ${address}: ${phase} took over ${Math.round(timeoutMs)} ms`;
      fail(new HuiyuanError("origin_timeout", message));
    }, timeoutMs);
    socket.once("connect", () => {
      isTcpUp = true;
      const { remoteAddress } = socket;
      // The socket is closed already, because TLS wrote after the peer's end. Without a peer address it cannot be
      // checked.
      if (remoteAddress === undefined) {
        const cause = new Error("closed at once");
        fail(translateDialFailure(cause, endpoint.isSecure, `${endpoint.hostname}" at ${address}`));
        return;
      }
      try {
        assertAllowed(remoteAddress, endpoint, rules);
      } catch (error) {
        fail(error as HuiyuanError); // assertAllowed() throws nothing else
        return;
      }
      if (!endpoint.isSecure) succeed();
    });
    socket.once("secureConnect", succeed);
    // Stays for good: an error between here and the socket's next owner must have a listener, or it ends the process.
    socket.on("error", (cause) => fail(translateDialFailure(cause, isTcpUp, `${endpoint.hostname}" at ${address}`)));
  });
}

function open(address: string, endpoint: Endpoint, rules: ConnectRules): Socket {
  const tcp = { host: address, port: endpoint.port, autoSelectFamily: false, noDelay: true, keepAlive: true };
  if (!endpoint.isSecure) return connectTcp(tcp);
  const name = isIP(endpoint.hostname) === 0 ? endpoint.hostname.replace(/\.$/, "") : endpoint.servername;
  const socket = connectTls({
    ...tcp,
    // Without a name (host is an address) node verifies the certificate for the dialled address.
    ...(name === undefined ? {} : { servername: name }),
    ...(rules.ca === undefined ? {} : { ca: rules.ca }),
    ...(rules.session === undefined ? {} : { session: rules.session }),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true, // explicit, so that NODE_TLS_REJECT_UNAUTHORIZED=0 cannot switch it off
  });
  socket.on("session", rules.onSession);
  return socket;
}

const PLAIN_HTTP = "this port speaks plain http: write http://";

function translateDialFailure(cause: Error, isTcpUp: boolean, where: string): HuiyuanError {
  const code = "code" in cause ? String(cause.code) : cause.message;
  const message = `Cannot dial "${where}: ${code}`;
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER")
    return new HuiyuanError("origin_tls", `${message}; ${PLAIN_HTTP}`, { cause });
  if (isTcpUp) return new HuiyuanError("origin_tls", message, { cause });
  if (code === "ETIMEDOUT") return new HuiyuanError("origin_timeout", message, { cause });
  // This process has no free descriptors, which is not the origin's fault.
  if (code === "EMFILE" || code === "ENFILE") return new HuiyuanError("overloaded", message, { cause });
  return new HuiyuanError("origin_refused", message, { cause });
}
