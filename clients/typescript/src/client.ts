import type { Operation } from "./operation.js";
import * as resources from "./resources.js";
import { Transport, type CallOptions, type ClientOptions } from "./transport.js";

type Methods<T> = { readonly [K in keyof T]: T[K] extends Operation<infer F> ? F : never };

/** The Highlight API. */
export class HighlightsClient {
  readonly streams: Methods<typeof resources.streams>;
  readonly recordings: Methods<typeof resources.recordings>;
  readonly highlights: Methods<typeof resources.highlights>;
  readonly clips: Methods<typeof resources.clips>;
  readonly branding: Methods<typeof resources.branding>;
  readonly exports: Methods<typeof resources.exports>;
  readonly exportBatches: Methods<typeof resources.exportBatches>;
  readonly deletions: Methods<typeof resources.deletions>;
  readonly feed: Methods<typeof resources.feed>;
  readonly profiles: Methods<typeof resources.profiles>;
  readonly webhooks: Methods<typeof resources.webhooks>;
  readonly connections: Methods<typeof resources.connections>;
  readonly usage: Methods<typeof resources.usage>;
  readonly keys: Methods<typeof resources.keys>;
  readonly audit: Methods<typeof resources.audit>;
  readonly health: Methods<typeof resources.health>;
  readonly policy: Methods<typeof resources.policy>;
  readonly #transport: Transport;

  /** @throws TypeError if the address or the key cannot be right */
  constructor(options: ClientOptions) {
    const transport = new Transport(options);
    this.#transport = transport;
    this.policy = bind(resources.policy, transport);
    this.streams = bind(resources.streams, transport);
    this.recordings = bind(resources.recordings, transport);
    this.highlights = bind(resources.highlights, transport);
    this.clips = bind(resources.clips, transport);
    this.branding = bind(resources.branding, transport);
    this.exports = bind(resources.exports, transport);
    this.exportBatches = bind(resources.exportBatches, transport);
    this.deletions = bind(resources.deletions, transport);
    this.feed = bind(resources.feed, transport);
    this.profiles = bind(resources.profiles, transport);
    this.webhooks = bind(resources.webhooks, transport);
    this.connections = bind(resources.connections, transport);
    this.usage = bind(resources.usage, transport);
    this.keys = bind(resources.keys, transport);
    this.audit = bind(resources.audit, transport);
    this.health = bind(resources.health, transport);
  }

  /** Fetch a file by a signed URL of the API, with retries and without the key. */
  async download(url: string, options?: CallOptions): Promise<Response> {
    return await this.#transport.download(url, options);
  }
}

function bind<T extends Record<string, Operation<unknown>>>(operations: T, transport: Transport): Methods<T> {
  return Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, operation(transport)])) as Methods<T>;
}
