import { crypto } from "./crypto.js";
import { WebhookVerificationError } from "./errors.js";
import type { webhooks } from "./schema.js";

/** An event that the API sends. `type` says what `data` holds; `id` is the same in every repetition. */
export type WebhookEvent = {
  [K in keyof webhooks]: webhooks[K]["post"] extends { requestBody: { content: { "application/json": infer E } } } ? E : never;
}[keyof webhooks];

type Headers = { get(name: string): string | null } | Record<string, string | string[] | undefined>;

/** Seconds by which the clocks may differ. */
const TOLERANCE = 300;

/**
 * Return the event in a request, if the API sent it within the last five minutes.
 *
 * @param body exactly as received
 * @param headers of the request, in any case
 * @param secret of the endpoint, `whsec_…`; during a rotation the old and the new one are valid
 * @throws WebhookVerificationError if it is not from the API, was changed, or is old
 */
export async function verify(body: string | Uint8Array<ArrayBuffer>, headers: Headers, options: { secret: string }): Promise<WebhookEvent> {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  const age = Date.now() / 1000 - Number(timestamp);
  if (!(Math.abs(age) <= TOLERANCE)) {
    throw new WebhookVerificationError("webhook-timestamp is not within five minutes; check this machine's clock.");
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const prefix = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + bytes.length);
  signed.set(prefix);
  signed.set(bytes, prefix.length);
  const key = await crypto.subtle.importKey("raw", decode(options.secret.replace(/^whsec_/, "")), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  for (const each of signatures.split(" ")) {
    const [version, value] = each.split(",");
    // verify() compares in constant time.
    if (version === "v1" && value && (await crypto.subtle.verify("HMAC", key, decode(value), signed))) {
      return JSON.parse(new TextDecoder().decode(bytes)) as WebhookEvent;
    }
  }
  throw new WebhookVerificationError("No signature matches; check the endpoint's secret, and that the body is the raw one.");
}

function header(headers: Headers, name: string): string {
  const value =
    typeof headers["get"] === "function"
      ? headers["get"](name)
      : Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
  if (typeof value !== "string") throw new WebhookVerificationError(`The request has no header ${name}: it is not from the API.`);
  return value;
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw new WebhookVerificationError("The secret or a signature is not Base64; copy the endpoint's secret, whsec_….");
  }
}
