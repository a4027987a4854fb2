/** The TypeScript client of the tldrtv Highlight API. */
export { HighlightsClient } from "./client.js";
export * from "./errors.js";
export { Listing, type Page } from "./listing.js";
export type { Answer, Route } from "./operation.js";
export type { CallOptions, ClientOptions } from "./transport.js";
export type { StreamEvent, TenantEvent } from "./events.js";
export type * from "./schema.js";
export * as webhooks from "./webhooks.js";
export type { WebhookEvent } from "./webhooks.js";
