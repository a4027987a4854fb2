import { ConnectionFailedError, errorOf, HighlightsError, retryAfter, UnexpectedAnswerError } from "./errors.js";
import { END, parseEvents, type EventReader } from "./events.js";

/** How a client reaches the API. */
export interface ClientOptions {
  /** Where the API is, such as `https://api.example.com`. */
  baseUrl: string;
  /** The tenant's key, `hl_live_…`. */
  apiKey: string;
  /** Seconds to wait for the headers of a response. Default: 30. */
  timeout?: number;
  /** Repetitions after the first request. Default: 3. */
  retries?: number;
  /** Seconds before the first repetition; they double with each. Default: 0.5. */
  firstRetry?: number;
  /** Seconds to wait at most. An error with a longer `Retry-After` is thrown. Default: 30. */
  longestRetry?: number;
  /** Sends the requests. Default: the global `fetch`. */
  fetch?: typeof fetch;
}

/** What one call can choose. */
export interface CallOptions {
  /** Aborts the call, its retries included. */
  signal?: AbortSignal;
  /** Your own key of an operation that creates something, to be safe across restarts. */
  idempotencyKey?: string;
  /** Revision that a change of a profile override is based on. */
  revision?: number;
}

/** One request, the same for all its repetitions. */
export interface ApiRequest {
  method: string;
  path: string;
  query?: object | undefined;
  json?: unknown;
  file?: Blob | Uint8Array<ArrayBuffer> | undefined;
  headers?: Record<string, string>;
  /** True if a second request does no more than the first. */
  repeatable: boolean;
  /** Statuses that carry an answer besides 2xx. */
  statuses?: readonly number[];
}

const UNAVAILABLE = new Set([502, 503, 504]);

/** Sends requests, and repeats them where that may help. */
export class Transport {
  readonly #base: URL;
  readonly #key: string;
  readonly #timeout: number;
  readonly #retries: number;
  readonly #first: number;
  readonly #longest: number;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions) {
    const base = new URL(options.baseUrl);
    if (!/^https?:$/.test(base.protocol)) throw new TypeError("baseUrl must begin with https:// or http://");
    const key = options.apiKey.trim();
    if (!/^[!-~]+$/.test(key)) throw new TypeError("the API key is empty or has characters that no key has");
    this.#base = base;
    this.#key = key;
    this.#timeout = options.timeout ?? 30;
    this.#retries = options.retries ?? 3;
    this.#first = options.firstRetry ?? 0.5;
    this.#longest = options.longestRetry ?? 30;
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** Return the JSON of a response, undefined if it has no body. */
  async json(request: ApiRequest, options: CallOptions = {}): Promise<unknown> {
    const text = await this.text(request, options);
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw unexpected(request);
    }
  }

  /** Return the text of a response. */
  async text(request: ApiRequest, options: CallOptions = {}): Promise<string> {
    const response = await this.#send(request, options);
    try {
      return await response.text();
    } catch (error) {
      throw failure(request, error, options.signal);
    }
  }

  /** Yield events to the one that ends them, if any. A lost connection is resumed after the last event. */
  async *events<T extends { id: string | undefined; type: string }>(
    request: ApiRequest,
    read: EventReader<T>,
    options: CallOptions & { lastEventId?: string } = {},
  ): AsyncGenerator<T, void, undefined> {
    let last = options.lastEventId;
    for (;;) {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (last !== undefined) headers["Last-Event-ID"] = last;
      const response = await this.#send({ ...request, headers }, options);
      if (!response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw unexpected(request);
      try {
        for await (const event of parseEvents(response.body, read)) {
          last = event.id ?? last;
          yield event;
          if (event.type === END) return;
        }
      } catch (error) {
        if (error instanceof HighlightsError) throw error;
        if (options.signal?.aborted) throw failure(request, error, options.signal);
      }
      await pause(this.#first, options.signal);
    }
  }

  /** Fetch a file by its signed URL, without the key. */
  async download(url: string, options: CallOptions = {}): Promise<Response> {
    return await this.#send({ method: "GET", path: url, repeatable: true }, options, false);
  }

  async #send(request: ApiRequest, options: CallOptions, withKey = true): Promise<Response> {
    const url = this.#url(request);
    const headers: Record<string, string> = { Accept: "application/json", ...request.headers };
    if (withKey) headers["Authorization"] = `Bearer ${this.#key}`;
    else delete headers["Accept"];
    if (request.json !== undefined) headers["Content-Type"] = "application/json";
    if (request.file !== undefined) headers["Content-Type"] = "application/octet-stream";
    const body = request.json === undefined ? request.file : JSON.stringify(request.json);
    for (let attempt = 0; ; attempt += 1) {
      let response: Response;
      try {
        response = await this.#fetchHeaders(url, { method: request.method, headers, body: body ?? null }, options.signal);
      } catch (error) {
        const tries = request.repeatable ? this.#retries : 0;
        if (options.signal?.aborted || attempt >= tries) throw failure(request, error, options.signal);
        await pause(this.#backoff(attempt), options.signal);
        continue;
      }
      if (response.ok || request.statuses?.includes(response.status)) return response;
      const error = errorOf(response, await response.text().catch(() => ""));
      const wait = retryAfter(response) ?? 0;
      const mayRepeat = response.status === 429 || (request.repeatable && UNAVAILABLE.has(response.status));
      if (!mayRepeat || attempt >= this.#retries || wait > this.#longest) throw error;
      await pause(Math.max(wait, this.#backoff(attempt)), options.signal);
    }
  }

  /** Send a request; the timeout ends with the headers, since a body may take hours. */
  async #fetchHeaders(url: URL, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
    signal?.throwIfAborted();
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const late = new Error(`no response within ${this.#timeout} s`);
    const timer = setTimeout(() => controller.abort(late), this.#timeout * 1000);
    try {
      return await this.#fetch(url, { ...init, signal: controller.signal });
    } catch (error) {
      signal?.removeEventListener("abort", abort);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #url(request: ApiRequest): URL {
    const prefix = this.#base.pathname.replace(/\/$/, "");
    const url = new URL(request.path.startsWith("/") ? prefix + request.path : request.path, this.#base);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value === undefined || value === null) continue;
      for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
    }
    return url;
  }

  #backoff(attempt: number): number {
    return Math.min(this.#longest, this.#first * 2 ** attempt) * (0.5 + Math.random() / 2);
  }
}

async function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Return what to throw: the caller's own reason if the caller aborted. */
function failure(request: ApiRequest, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new ConnectionFailedError(
    `${request.method} ${request.path.split("?")[0]} got no response: ${words}. Check the address and the network, then try again.`,
    { cause: error },
  );
}

function unexpected(request: ApiRequest): UnexpectedAnswerError {
  return new UnexpectedAnswerError(
    `The response to ${request.method} ${request.path} cannot be read; check the API's address and what stands between.`,
  );
}
