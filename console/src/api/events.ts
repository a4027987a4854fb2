// Server-sent events with an API key, which the browser's EventSource cannot send.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { currentKey } from "../session";

export interface ServerEvent {
  name: string;
  data: unknown;
}

const RETRY_MS = 2000;

/** Follow events until one named `end` or `error`, or until `signal` is aborted; reconnect otherwise.
 *
 * @param connected is called with true when events arrive, and with false when the connection is lost.
 */
export async function followEvents(
  path: string,
  onEvent: (event: ServerEvent) => void,
  signal: AbortSignal,
  connected: (isConnected: boolean) => void = () => {},
): Promise<void> {
  let last: string | undefined;
  while (!signal.aborted) {
    try {
      const response = await fetch(path, {
        headers: {
          Accept: "text/event-stream",
          Authorization: `Bearer ${currentKey()}`,
          ...(last ? { "Last-Event-ID": last } : {}),
        },
        signal,
      });
      if (response.status >= 400 && response.status < 500 && response.status !== 429) return;
      if (response.ok && response.body) {
        connected(true);
        const events = response.body
          .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
          .pipeThrough(new EventSourceParserStream());
        const reader = events.getReader();
        for (let next = await reader.read(); !next.done; next = await reader.read()) {
          const { event, data, id } = next.value;
          last = id ?? last;
          onEvent({ name: event ?? "message", data: JSON.parse(data) });
          if (event === "end" || event === "error") return;
        }
      }
    } catch {
      if (signal.aborted) return;
    }
    connected(false);
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}
