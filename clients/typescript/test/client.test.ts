/** The client against a running API. `test_typescript_client.py` starts it and passes what it made. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AuthenticationError,
  ConnectionFailedError,
  HighlightsClient,
  InvalidRequestError,
  NotFoundError,
  RateLimitedError,
  ServerError,
  WebhookVerificationError,
  webhooks,
} from "@tldrtv/highlights";

interface Given {
  url: string;
  key: string;
  stream: string;
  highlight: string;
  methods: string[];
  webhook: { body: string; headers: Record<string, string>; secret: string };
}

const given = JSON.parse(process.env["HIGHLIGHTS_GIVEN"] ?? "") as Given;
const options = { baseUrl: given.url, apiKey: given.key, firstRetry: 0.01 };
const client = new HighlightsClient(options);

/** A client whose requests are recorded. `answer` may give another response than the API's. */
function recording(answer: (request: Request, number: number) => Promise<Response>) {
  const sent: Request[] = [];
  const recorded = async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    sent.push(request.clone());
    return await answer(request, sent.length);
  };
  return { sent, client: new HighlightsClient({ ...options, fetch: recorded }) };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test("the methods are those of the Python client", () => {
  const methods = Object.entries(client).flatMap(([resource, bound]) =>
    Object.keys(bound as object).map((name) => `${resource}.${name}`),
  );
  assert.deepEqual(methods.sort(), given.methods);
});

test("a list is read to its end, page by page", async () => {
  const url = "https://hooks.example.com/pages";
  const made: string[] = [];
  for (let number = 0; number < 3; number += 1) made.push((await client.webhooks.subscribe({ url })).id);
  const { sent, client: other } = recording((request) => fetch(request));
  const found = await collect(other.webhooks.list({ limit: 2 }));
  assert.deepEqual(found.map((each) => each.id).sort(), made.sort());
  assert.equal(sent.length, 2);
});

test("one page can be read, and the one after it", async () => {
  const first = await client.webhooks.list({ limit: 1 }).page();
  assert.equal(first.data.length, 1);
  const second = await client.webhooks.list({ limit: 1 }).page(first.next_cursor ?? "");
  assert.notEqual(second.data[0]?.id, first.data[0]?.id);
});

test("an operation that creates can be repeated with the same idempotency key", async () => {
  const body = { url: "https://hooks.example.com/again" };
  const one = await client.webhooks.subscribe(body, { idempotencyKey: "again" });
  const other = await client.webhooks.subscribe(body, { idempotencyKey: "again" });
  assert.equal(one.id, other.id);
});

test("a retry after 503 sends the same idempotency key", async () => {
  const busy = () => Response.json({ code: "service_unavailable" }, { status: 503, headers: { "Retry-After": "0" } });
  const { sent, client: other } = recording(async (request, number) => (number === 1 ? busy() : await fetch(request)));
  const made = await other.webhooks.subscribe({ url: "https://hooks.example.com/retry" });
  assert.match(made.secret ?? "", /^whsec_/);
  const keys = sent.map((request) => request.headers.get("Idempotency-Key"));
  assert.equal(keys.length, 2);
  assert.ok(keys[0]);
  assert.equal(keys[0], keys[1]);
});

test("what must not be done twice is not retried", async () => {
  const { sent, client: other } = recording(async () => new Response("", { status: 503 }));
  await assert.rejects(other.streams.delete(given.stream), ServerError);
  assert.equal(sent.length, 1);
});

test("a wait that is too long is left to the caller", async () => {
  const limited = () => Response.json({ code: "rate_limited" }, { status: 429, headers: { "Retry-After": "3600" } });
  const { sent, client: other } = recording(async () => limited());
  await assert.rejects(other.keys.list().page(), (error) => error instanceof RateLimitedError && error.retryAfter === 3600);
  assert.equal(sent.length, 1);
});

test("a refusal is an error of its kind, with code, advice and request id", async () => {
  await assert.rejects(client.streams.get(crypto.randomUUID()), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.deepEqual([error.status, error.code, error.name], [404, "stream_not_found", "NotFoundError"]);
    assert.ok(error.detail);
    assert.ok(error.requestId);
    return true;
  });
  const unknown = new HighlightsClient({ ...options, apiKey: "hl_test_unknown" });
  await assert.rejects(unknown.streams.list().page(), AuthenticationError);
});

test("an invalid request lists what is wrong", async () => {
  await assert.rejects(client.streams.analyze({ url: "not a URL" }), (error) => {
    assert.ok(error instanceof InvalidRequestError);
    assert.deepEqual(error.errors.map((each) => each.pointer), ["/url"]);
    return true;
  });
});

test("no response is an error that names the address", async () => {
  const away = new HighlightsClient({ ...options, baseUrl: "http://127.0.0.1:1", retries: 1 });
  await assert.rejects(away.health.live(), (error) => error instanceof ConnectionFailedError && /GET \/healthz/.test(error.message));
});

test("an aborted call is not retried", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(client.streams.list({}, { signal }).page(), /enough/);
});

test("a stream is followed to its end", async () => {
  const events = await collect(client.streams.follow(given.stream));
  assert.deepEqual(events.map((each) => each.type), ["highlight", "stream", "end"]);
  const [first] = events;
  assert.ok(first?.type === "highlight");
  assert.equal(first.highlight.id, given.highlight);
});

test("a connection that is lost is resumed after the last event", async () => {
  const { sent, client: other } = recording(async (request, number) => {
    const response = await fetch(request);
    if (number > 1) return response;
    // The connection breaks after the first event with an id.
    const text = await response.text();
    const cut = text.indexOf("\n\n", text.indexOf("id:")) + 2;
    return new Response(text.slice(0, cut), { headers: response.headers });
  });
  const events = await collect(other.streams.follow(given.stream));
  assert.equal(events.at(-1)?.type, "end");
  assert.deepEqual(sent.map((request) => request.headers.get("Last-Event-ID")), [null, events[0]?.id]);
});

test("a highlight is read, rated and found by its stream", async () => {
  const found = await collect(client.highlights.list({ stream_id: given.stream, status: ["confirmed", "pending"] }));
  assert.deepEqual(found.map((each) => each.id), [given.highlight]);
  const feedback = await client.highlights.giveFeedback(given.highlight, { verdict: "like" });
  assert.equal(feedback.verdict, "like");
  assert.equal((await client.highlights.get(given.highlight)).stream_id, given.stream);
});

test("a file is uploaded, and a repetition with the same key is the same recording", async () => {
  const file = new Blob([new Uint8Array(2048)]);
  const one = await client.recordings.upload(file, { game: "soccer" }, { idempotencyKey: "file" });
  const other = await client.recordings.upload(file, { game: "soccer" }, { idempotencyKey: "file" });
  assert.equal(one.id, other.id);
  assert.equal(one.is_recording, true);
});

test("a timeline is text", async () => {
  assert.match(await client.streams.timeline(given.stream, { format: "csv" }), /,/);
});

test("a profile override is changed by its revision", async () => {
  const made = await client.profiles.putOverride("soccer", { clip: { pre_roll: 1 } });
  await client.profiles.deleteOverride("soccer", { revision: made.revision });
});

test("a webhook that the API signed is an event", async () => {
  const { body, headers, secret } = given.webhook;
  const event = await webhooks.verify(body, headers, { secret });
  assert.equal(event.type, "clip.ready");
  assert.equal((await webhooks.verify(body, new Headers(headers), { secret })).id, event.id);
});

test("a webhook that was changed, is old, or has another secret is refused", async () => {
  const { body, headers, secret } = given.webhook;
  const other = `whsec_${btoa("x".repeat(32))}`;
  const old = { ...headers, "Webhook-Timestamp": String(Math.floor(Date.now() / 1000) - 360) };
  await assert.rejects(webhooks.verify(`${body} `, headers, { secret }), WebhookVerificationError);
  await assert.rejects(webhooks.verify(body, headers, { secret: other }), WebhookVerificationError);
  await assert.rejects(webhooks.verify(body, old, { secret }), /five minutes/);
  await assert.rejects(webhooks.verify(body, {}, { secret }), /webhook-timestamp|webhook-id/);
});
