// What the pages read about streams.
import { api, unwrap, type Schemas } from "./client";

export type Stream = Schemas["Stream"];
export type StreamDetail = Schemas["StreamDetail"];

const ENDED: ReadonlySet<Stream["status"]> = new Set(["completed", "failed", "cancelled"] as const);
const PAGE = 100;

export function isActive({ status }: Pick<Stream, "status">): boolean {
  return !ENDED.has(status);
}

/** Return how far the analysis is behind the live edge (s), null for a stream that has ended. */
export function behindLive(stream: Stream, now: number = Date.now()): number | null {
  if (!isActive(stream) || stream.last_segment_at === null) return null;
  const unread = Math.max(0, (now - Date.parse(stream.last_segment_at)) / 1000);
  return unread + Math.max(0, stream.position - stream.analyzed);
}

/** Read all moments of a span of a stream, whatever was decided about them, in order. */
export async function readMoments(
  stream: string,
  statuses: Schemas["Highlight"]["status"][],
  signal: AbortSignal,
): Promise<Schemas["Highlight"][]> {
  const found: Schemas["Highlight"][] = [];
  let cursor: string | undefined;
  do {
    const page = await unwrap(
      api.GET("/v1/highlights/list", {
        params: { query: { stream_id: stream, status: statuses, sort: "peak", limit: PAGE, cursor } },
        signal,
      }),
    );
    found.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return found;
}

/** Read the latest events of a stream's feed, newest first. */
export async function readFeed(stream: string, signal: AbortSignal): Promise<Schemas["FeedEventResult"][]> {
  const page = await unwrap(
    api.GET("/v1/streams/{stream_id}/feed-events", {
      params: { path: { stream_id: stream }, query: { limit: PAGE } },
      signal,
    }),
  );
  return page.data;
}
