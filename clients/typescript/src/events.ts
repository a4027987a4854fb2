import { errorIn, UnexpectedAnswerError } from "./errors.js";
import type { Highlight, ProblemDocument, Stream } from "./schema.js";

/** The type of a stream's last event. */
export const END = "end";

/**
 * A change of a stream: of a highlight or its clip, of the stream, or its end. A highlight is sent
 * again whenever it changes; the latest `updated_at` is current.
 */
export type StreamEvent =
  | { type: "highlight"; id: string | undefined; highlight: Highlight }
  | { type: "stream"; id: string | undefined; stream: Stream }
  | { type: "end"; id: string | undefined; reason: string };

/**
 * An event of a tenant, with the body of the request that webhook endpoints receive. The same event
 * may come twice. Each connection begins with one of the type `open` without content.
 */
export interface TenantEvent {
  type: string;
  id: string | undefined;
  body: string;
}

/** Reads an event from its fields; undefined for a type that is not known. */
export type EventReader<T> = (fields: Map<string, string>) => T | undefined;

/** Yield the server-sent events of a body as they are complete; skip types that are not known. */
export async function* parseEvents<T>(body: ReadableStream<Uint8Array>, read: EventReader<T>): AsyncGenerator<T, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let fields = new Map<string, string>();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map((each) => each.replace(/\r$/, ""))) {
        if (line !== "") {
          addField(fields, line);
          continue;
        }
        const event = read(fields);
        fields = new Map();
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function addField(fields: Map<string, string>, line: string): void {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  const before = fields.get(name);
  fields.set(name, name === "data" && before !== undefined ? `${before}\n${value}` : value);
}

/** Read an event of a stream. */
export function streamEvent(fields: Map<string, string>): StreamEvent | undefined {
  const data = fields.get("data");
  if (data === undefined) return undefined;
  const id = fields.get("id");
  const parsed = parsedData(data);
  switch (fields.get("event")) {
    case "highlight":
      return { type: "highlight", id, highlight: parsed as Highlight };
    case "stream":
      return { type: "stream", id, stream: parsed as Stream };
    case END:
      return { type: "end", id, reason: (parsed as { reason: string }).reason };
    case "error":
      throw problemIn(parsed);
    default:
      return undefined;
  }
}

/** Read an event of a tenant. */
export function tenantEvent(fields: Map<string, string>): TenantEvent | undefined {
  const body = fields.get("data");
  if (body === undefined) return undefined;
  const type = fields.get("event") ?? "message";
  if (type === "error") throw problemIn(parsedData(body));
  return { type, id: fields.get("id"), body };
}

function parsedData(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new UnexpectedAnswerError("An event of the stream cannot be read; check what stands between you and the API.");
  }
}

function problemIn(parsed: unknown): Error {
  const problem = parsed as ProblemDocument;
  return errorIn(problem.status, problem);
}
