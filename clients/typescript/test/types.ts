/** What the compiler refuses. Nothing here runs; `tsc` fails where an error is missing. */
import type { Highlight, HighlightsClient, Listing, Stream, WebhookEvent } from "@tldrtv/highlights";

export async function refused(client: HighlightsClient, event: WebhookEvent): Promise<void> {
  const stream: Stream = await client.streams.analyze({ url: "https://cdn.example.com/master.m3u8" });
  const listed: Listing<Highlight> = client.highlights.list({ stream_id: stream.id });
  // @ts-expect-error - the URL is required
  await client.streams.analyze({});
  // @ts-expect-error - no such field
  await client.streams.analyze({ url: "https://cdn.example.com/master.m3u8", color: "red" });
  // @ts-expect-error - no such filter
  client.highlights.list({ color: "red" });
  // @ts-expect-error - no such verdict
  await client.highlights.giveFeedback(stream.id, { verdict: "love" });
  // @ts-expect-error - the id is missing
  await client.streams.get();
  // @ts-expect-error - a list is no promise
  await listed.data;
  if (event.type === "clip.ready") {
    const url: string | null = event.data.url;
    // @ts-expect-error - other events have it
    console.log(url, event.data.end_reason);
  }
}
