/** All methods of the client. Their names are those of the Python client, in camel case. */
import { call, check, create, download, follow, followAll, list, once, text, upload } from "./operation.js";
import type { Clip, ExportBatch, ExportRendition } from "./schema.js";

/** Live streams being analyzed. */
export const streams = {
  /** Start to find highlights in a live HLS stream. */
  analyze: create("POST /v1/streams/analyze", "body"),
  /** List streams, newest first. */
  list: list("GET /v1/streams"),
  /** Read a stream with its gaps. */
  get: call("GET /v1/streams/{stream_id}"),
  /** Change the publication policy of a stream and its highlights. */
  update: call("PATCH /v1/streams/{stream_id}", "body"),
  /** Stop following a stream. Its last windows are still analyzed. */
  stop: call("POST /v1/streams/{stream_id}/stop"),
  /** Stop up to 50 streams. A failure of one does not affect the others. */
  batchStop: call("POST /v1/streams/batch-stop", "body"),
  /** Delete a stream, its highlights, feedback and clips, files included. */
  delete: once("DELETE /v1/streams/{stream_id}"),
  /** Read a stream's highlights, and what lies between them, as chapters. */
  chapters: call("GET /v1/streams/{stream_id}/chapters", "query"),
  /** Return a stream's highlights as a file for editing programs. */
  timeline: text("GET /v1/streams/{stream_id}/timeline"),
  /** List a stream's events as they happen, until it ends. */
  follow: follow("GET /v1/streams/{stream_id}/events"),
};

/** Finished videos; each is a stream with `is_recording` set. */
export const recordings = {
  /** Find highlights in a media file, a VOD playlist, or a ZIP archive of one. */
  analyze: create("POST /v1/recordings", "body"),
  /** Upload a media file and find its highlights. */
  upload: upload("POST /v1/recordings/upload"),
};

/** The moments found in streams. */
export const highlights = {
  /** List the highlights that match all filters given. */
  list: list("GET /v1/highlights/list"),
  /** List the highlights that words find, the most relevant first. */
  search: list("GET /v1/highlights/search"),
  /** Read a highlight with its clip, and the reasons of its decision. */
  get: call("GET /v1/highlights/{highlight_id}"),
  /** Find highlights that look like this one or have the words of its title. */
  similar: call("GET /v1/highlights/{highlight_id}/similar", "query"),
  /** Read up to 100 highlights, with their clips, in one request. */
  batchGet: call("POST /v1/highlights/batch-get", "body"),
  /** Give feedback on a highlight. It replaces earlier feedback of the same user. */
  giveFeedback: call("POST /v1/highlights/{highlight_id}/feedback", "body"),
  /** List the feedback on a highlight, newest first. */
  feedback: list("GET /v1/highlights/{highlight_id}/feedback"),
  /** Get a player of a highlight for your pages. */
  embed: call("GET /v1/highlights/{highlight_id}/embed"),
  /** Read who may embed your highlights. */
  embedPolicy: call("GET /v1/embed-policy"),
  /** Say who may embed your highlights, at once; without `origins` every page may. */
  putEmbedPolicy: call("PUT /v1/embed-policy", "body"),
  /** Release a highlight that awaits review: its webhooks are sent, its clips get links. */
  approve: call("POST /v1/highlights/{highlight_id}/approve", "body"),
  /** Retract a highlight for good, also one that was approved. */
  reject: call("POST /v1/highlights/{highlight_id}/reject", "body"),
};

/** Video files of the moments. */
export const clips = {
  /** Read a clip's properties and fresh links. */
  get: call("GET /v1/clips/{clip_id}"),
  /** Make a clip of any part of a stream whose media is kept. */
  create: create("POST /v1/streams/{stream_id}/clips", "body"),
  /** List a stream's clips, newest first. */
  list: list("GET /v1/streams/{stream_id}/clips"),
  /** Delete a clip on demand with its files. */
  delete: call("DELETE /v1/clips/{clip_id}"),
  /** Download a clip's file. */
  download: download((clip: Clip) => clip.url),
  /** Download a clip's picture. */
  downloadThumbnail: download((clip: Clip) => clip.thumbnail_url),
};

/** What exports, batches and reels show unless their request says otherwise. */
export const branding = {
  /** Read the default branding; it is empty if none was set. */
  get: call("GET /v1/branding"),
  /** Replace the default branding; exports that exist keep theirs. */
  put: call("PUT /v1/branding", "body"),
  /** Export without default branding from now on. */
  delete: once("DELETE /v1/branding"),
};

/** Files of clips and streams in other formats, shapes and sizes. */
export const exports = {
  /** Start an export. */
  create: create("POST /v1/exports", "body"),
  /** List exports, newest first. */
  list: list("GET /v1/exports"),
  /** Read an export with fresh links. */
  get: call("GET /v1/exports/{export_id}"),
  /** Cancel an export; one that has finished stays as it is. */
  cancel: call("POST /v1/exports/{export_id}/cancel"),
  /** Delete an export and its files. */
  delete: once("DELETE /v1/exports/{export_id}"),
  /** Download a rendition's file. */
  download: download((rendition: ExportRendition) => rendition.url),
  /** Download a rendition's HLS playlist or WebVTT ; players read its URL instead. */
  downloadIndex: download((rendition: ExportRendition) => rendition.index_url),
};

/** Exports of many highlights, with their files as a manifest and as a ZIP file. */
export const exportBatches = {
  /** Start a batch: one export per highlight, all with the same renditions. */
  create: create("POST /v1/export-batches", "body"),
  /** List batches, newest first. */
  list: list("GET /v1/export-batches"),
  /** Read a batch with its progress. */
  get: call("GET /v1/export-batches/{batch_id}"),
  /** List the files that are ready, with fresh links. */
  manifest: call("GET /v1/export-batches/{batch_id}/manifest"),
  /** Start no further exports. Those that run finish. */
  cancel: call("POST /v1/export-batches/{batch_id}/cancel"),
  /** Start the remaining exports of a canceled batch. */
  resume: call("POST /v1/export-batches/{batch_id}/resume"),
  /** Delete a batch with its exports and their files. */
  delete: once("DELETE /v1/export-batches/{batch_id}"),
  /** Download all files that are ready as a ZIP file. */
  download: download((batch: ExportBatch) => batch.zip_url),
};

/** Deleted streams, and holds of streams and highlights. */
export const deletions = {
  /** Delete a stream; `reason` is kept with the proof. Asking again returns its deletion. */
  create: call("POST /v1/deletions", "body"),
  /** List deletions, newest first. */
  list: list("GET /v1/deletions"),
  /** Read what was deleted of a stream, and when. */
  get: call("GET /v1/deletions/{deletion_id}"),
  /** Hold a stream, so that it cannot be deleted. */
  holdStream: call("PUT /v1/streams/{stream_id}/legal-hold", "body"),
  /** Release a stream's hold. */
  releaseStream: call("DELETE /v1/streams/{stream_id}/legal-hold"),
  /** Hold a highlight, so that it cannot be deleted. */
  holdHighlight: call("PUT /v1/highlights/{highlight_id}/legal-hold", "body"),
  /** Release a highlight's hold. */
  releaseHighlight: call("DELETE /v1/highlights/{highlight_id}/legal-hold"),
};

/** Scores, odds and bets of your feed, as evidence for highlights. */
export const feed = {
  /** Send up to 100 events; of an `id`, the highest `revision` counts. */
  send: create("POST /v1/streams/{stream_id}/events", "body"),
  /** List the events of a stream, newest first. */
  list: list("GET /v1/streams/{stream_id}/feed-events"),
  /** Read the offset between a stream's feed and its picture. */
  clock: call("GET /v1/streams/{stream_id}/feed-clock"),
  /** Set the offset, in seconds, that is added to the feed's time. */
  setClock: call("PUT /v1/streams/{stream_id}/feed-clock", "body"),
  /** Forget the feed clock, which is then estimated again. */
  forgetClock: call("DELETE /v1/streams/{stream_id}/feed-clock"),
  /** List the highlights of a subject, such as a bet, newest first. */
  highlightsOf: list("GET /v1/subjects/{subject}/highlights"),
  /** Delete a reference from all events; highlights stay. */
  forgetSubject: call("DELETE /v1/subjects/{subject}"),
};

/** What counts in each game. */
export const profiles = {
  /** List all profiles: those shipped, as you override them, and those of your own. */
  list: call("GET /v1/profiles"),
  /** Try which profile a stream would get for a game or title. Nothing is stored. */
  match: call("POST /v1/profiles/match", "body"),
  /** Read a profile complete, as your streams use it. */
  get: call("GET /v1/profiles/{profile_id}"),
  /** Read your override of a profile; a change needs its `revision`. */
  getOverride: call("GET /v1/profiles/{profile_id}/override"),
  /** Change a profile for streams started from now on, or add one of your own. */
  putOverride: once("PUT /v1/profiles/{profile_id}/override", "body"),
  /** Delete your override, or a profile of your own. */
  deleteOverride: once("DELETE /v1/profiles/{profile_id}/override"),
  /** List the latest revisions of an override, those below `before` only, newest first. */
  overrideHistory: call("GET /v1/profiles/{profile_id}/override/history", "query"),
  /** Read what was learned from your feedback. */
  getTaste: call("GET /v1/profiles/{profile_id}/taste"),
  /** Disable or enable learning from feedback; it applies at once. */
  updateTaste: call("PATCH /v1/profiles/{profile_id}/taste", "body"),
  /** Forget what was learned; only feedback from now on is learned from. */
  resetTaste: once("DELETE /v1/profiles/{profile_id}/taste"),
  /** Validate an override and show its effect on a stream. Nothing is stored. */
  previewOverride: call("POST /v1/profiles/{profile_id}/override/preview", "body"),
};

/** Webhook endpoints, and deliveries to them. */
export const webhooks = {
  /** Create an endpoint. The response has its secret, which is shown once. */
  subscribe: create("POST /v1/webhooks/subscribe", "body"),
  /** List endpoints, newest first. */
  list: list("GET /v1/webhooks"),
  /** Read an endpoint with its event types and state. */
  get: call("GET /v1/webhooks/{endpoint_id}"),
  /** Change an endpoint; `status` `disabled` stops calling it, `enabled` resumes. */
  update: call("PATCH /v1/webhooks/{endpoint_id}", "body"),
  /** Replace an endpoint's secret and show it; for `overlap` s (by default a day) both sign. */
  rotate: create("POST /v1/webhooks/{endpoint_id}/rotate", "body"),
  /** Remove an endpoint with all its deliveries. */
  delete: once("DELETE /v1/webhooks/{endpoint_id}"),
  /** Send an event of type `endpoint.test`; read the delivery for the endpoint's answer. */
  test: once("POST /v1/webhooks/{endpoint_id}/test"),
  /** Send the events of a range of time again; by default all event types of the endpoint. */
  replay: call("POST /v1/webhooks/{endpoint_id}/replay", "body"),
  /** List deliveries to all endpoints, newest first. */
  deliveries: list("GET /v1/webhooks/deliveries"),
  /** List deliveries to one endpoint, newest first. */
  deliveriesOf: list("GET /v1/webhooks/{endpoint_id}/deliveries"),
  /** Read what is sent, and the endpoint's response to each attempt. */
  getDelivery: call("GET /v1/webhooks/deliveries/{delivery_id}"),
  /** Send an event to its endpoint again, or now instead of later. */
  redeliver: call("POST /v1/webhooks/deliveries/{delivery_id}/redeliver"),
  /** Iterate over the events of your webhooks, without an endpoint; it does not end. */
  follow: followAll("GET /v1/webhooks/events"),
  /** Read the networks that webhooks and requests for your streams come from. */
  egress: call("GET /v1/egress"),
};

/** 100ms workspaces whose events are followed. */
export const connections = {
  /** Connect a 100ms workspace; the response has the secrets, which are shown once. */
  create: create("POST /v1/connections", "body"),
  /** List connections, newest first. */
  list: list("GET /v1/connections"),
  /** Read a connection, without its secrets. */
  get: call("GET /v1/connections/{connection_id}"),
  /** Change a connection; fields that you leave out stay, null clears. */
  update: call("PATCH /v1/connections/{connection_id}", "body"),
  /** Delete a connection and its events. Streams that it started are unaffected. */
  delete: once("DELETE /v1/connections/{connection_id}"),
  /** Create new secrets. The old ones are valid for another day. */
  rotate: once("POST /v1/connections/{connection_id}/rotate"),
  /** List the latest events of a connection with their outcomes. */
  events: call("GET /v1/connections/{connection_id}/events", "query"),
};

/** What was used, and what it costs. */
export const usage = {
  /** Read what was used, with its cost. */
  stats: call("GET /v1/usage/stats", "query"),
  /** List your budgets, with what is used of each this month. */
  budgets: call("GET /v1/usage/budgets"),
  /** Set a budget for a month. Webhooks report it; it is not enforced. */
  putBudget: call("PUT /v1/usage/budgets/{kind}", "body"),
  /** Delete a budget. */
  deleteBudget: once("DELETE /v1/usage/budgets/{kind}"),
};

/** API keys, and what they may do. */
export const keys = {
  /** Create a key. It is shown once. */
  create: create("POST /v1/keys", "body"),
  /** List keys, newest first. */
  list: list("GET /v1/keys"),
  /** Read a key with its scopes, expiry and last use. */
  get: call("GET /v1/keys/{key_id}"),
  /** Change a key's name, addresses or end; fields that you leave out stay, null clears. */
  update: call("PATCH /v1/keys/{key_id}", "body"),
  /** Create a key's successor. It is shown once. */
  rotate: create("POST /v1/keys/{key_id}/rotate", "body"),
  /** Revoke a key at once. */
  revoke: call("POST /v1/keys/{key_id}/revoke"),
};

/** Who changed what. */
export const audit = {
  /** List changes that match all filters given, newest first. */
  list: list("GET /v1/audit"),
};

/** For monitoring. */
export const health = {
  /** Check that the API's process responds. */
  live: call("GET /healthz"),
  /** Check each part that requests need. */
  ready: check("GET /readyz"),
};

/** The policy that streams inherit when they are created. */
export const policy = {
  /** Read the policy; it states nothing if none was set. */
  get: call("GET /v1/policy"),
  /** Replace the policy; streams that exist keep theirs. */
  put: call("PUT /v1/policy", "body"),
};
