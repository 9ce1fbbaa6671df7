// Tidies the wizard's addresses. The server checks them.

/** Puts a scheme before a bare host: http for IP addresses, localhost and other ports, else https. */
export function withScheme(text: string): string {
  const url = text.trim();
  if (url === "" || /^[a-z]+:\/\//i.test(url)) return url;
  const [host = ""] = url.split("/", 1);
  return `${/:\d+$|^[\d.]+$|^\[|^localhost$|\.localhost$/i.test(host) ? "http" : "https"}://${url}`;
}

/** Removes a scheme, and slashes at both ends. */
export function bareHost(text: string): string {
  return text.trim().replace(/^[a-z]*:?\/\/|\/+$/gi, "");
}
