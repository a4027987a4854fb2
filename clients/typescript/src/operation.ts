import { crypto } from "./crypto.js";
import { Listing, type Page } from "./listing.js";
import type { paths } from "./schema.js";
import { streamEvent, tenantEvent, type StreamEvent, type TenantEvent } from "./events.js";
import type { ApiRequest, CallOptions, Transport } from "./transport.js";

type Method = "get" | "put" | "post" | "patch" | "delete";

/** Method and path of an operation, such as `GET /v1/streams/{stream_id}`. */
export type Route = {
  [P in keyof paths]: {
    [M in Method]: paths[P][M] extends { responses: unknown } ? `${Uppercase<M>} ${P}` : never;
  }[Method];
}[keyof paths];

type OperationOf<R extends Route> = R extends `${infer M} ${infer P}`
  ? P extends keyof paths
    ? Lowercase<M> extends keyof paths[P]
      ? paths[P][Lowercase<M>]
      : never
    : never
  : never;

type Json<T> = T extends { content: { "application/json": infer Body } } ? Body : void;
type Successes<T> = T extends { responses: infer Responses }
  ? { [S in keyof Responses]: S extends 200 | 201 | 202 | 204 ? Json<Responses[S]> : never }[keyof Responses]
  : never;

/** What an operation answers with. */
export type Answer<R extends Route> = Successes<OperationOf<R>>;
type Item<R extends Route> = Answer<R> extends { data: (infer T)[] } ? T : never;

type Parameters<R extends Route, Place extends "query" | "header"> =
  OperationOf<R> extends { parameters: infer P } ? (Place extends keyof P ? NonNullable<P[Place]> : never) : never;
type Query<R extends Route> = Parameters<R, "query">;
type Requested<R extends Route> = OperationOf<R> extends { requestBody?: infer B } ? B : never;
type Body<R extends Route> =
  NonNullable<Requested<R>> extends { content: { "application/json": infer B } }
    ? [NonNullable<Requested<R>>] extends [never]
      ? []
      : undefined extends Requested<R>
        ? [body?: B]
        : [body: B]
    : [];
type HasQuery<R extends Route> = [Query<R>] extends [never] ? false : true;
type QueryArgument<R extends Route> = HasQuery<R> extends true ? (Record<never, never> extends Query<R> ? [query?: Query<R>] : [query: Query<R>]) : [];

/** One argument for each name in the path, in its order. */
type Names<P extends string> = P extends `${string}{${string}}${infer Rest}` ? [id: string, ...Names<Rest>] : [];
type Input<R extends Route> = Body<R> extends [] ? QueryArgument<R> : Body<R>;

type Creating = { [R in Route]: Has<Parameters<R, "header">, "Idempotency-Key"> extends true ? R : never }[Route];
type Listed = { [R in Route]: Has<Query<R>, "cursor"> extends true ? R : never }[Route];
type Has<T, Name> = [T] extends [never] ? false : Name extends keyof T ? true : false;

/** Makes a method of a client from what sends its requests. */
export type Operation<F> = (transport: Transport) => F;
type Call<R extends Route> = Operation<(...args: [...Names<R>, ...Input<R>, options?: CallOptions]) => Promise<Answer<R>>>;

/** What an operation takes in addition to the names in its path. It decides which argument is which. */
type Takes<R extends Route> = Body<R> extends [] ? (HasQuery<R> extends true ? [takes: "query"] : []) : [takes: "body"];

/** A call that can be repeated: a second request does no more than the first. */
export function call<R extends Exclude<Route, Creating | Listed>>(route: R, ...takes: Takes<R>): Call<R> {
  return sending(route, { takes: takes[0], repeatable: true });
}

/** A call that is not repeated, since the answer to a second request would be another. */
export function once<R extends Exclude<Route, Creating | Listed>>(route: R, ...takes: Takes<R>): Call<R> {
  return sending(route, { takes: takes[0], repeatable: false });
}

/** A call that creates something. Its `Idempotency-Key` lets it be repeated. */
export function create<R extends Exclude<Creating, UploadRoute>>(route: R, ...takes: Takes<R>): Call<R> {
  return sending(route, { takes: takes[0], repeatable: true, creates: true });
}

/** A check that answers with 503 too. */
export function check<R extends "GET /readyz">(route: R): Call<R> {
  return sending(route, { takes: undefined, repeatable: true, statuses: [503] });
}

/** A list that is read page by page. */
export function list<R extends Listed>(route: R): Operation<(...args: [...Names<R>, ...Input<R>, options?: CallOptions]) => Listing<Item<R>>> {
  return (transport) =>
    (...args) => {
      const { request, options } = requestOf(route, args, { takes: "query", repeatable: true });
      const query = { ...request.query };
      return new Listing(
        async (cursor) =>
          (await transport.json({ ...request, query: cursor === undefined ? query : { ...query, cursor } }, options)) as Page<Item<R>>,
      );
    };
}

type UploadRoute = "POST /v1/recordings/upload";

/** An upload of a file. In Node.js, `fs.openAsBlob(path)` opens one without reading it to memory. */
export function upload<R extends UploadRoute>(
  route: R,
): Operation<(file: Blob | Uint8Array<ArrayBuffer>, query?: Query<R>, options?: CallOptions) => Promise<Answer<R>>> {
  return (transport) =>
    async (file, query, options) => {
      const { request } = requestOf(route, [query, options], { takes: "query", repeatable: true, creates: true });
      return (await transport.json({ ...request, file }, options)) as Answer<R>;
    };
}

/** A document that is not JSON. */
export function text<R extends "GET /v1/streams/{stream_id}/timeline">(
  route: R,
): Operation<(id: string, query: Query<R>, options?: CallOptions) => Promise<string>> {
  return (transport) =>
    async (...args) => {
      const { request, options } = requestOf(route, args, { takes: "query", repeatable: true });
      return await transport.text({ ...request, headers: { Accept: "*/*" } }, options);
    };
}

/** Events of a stream as they happen, until it ends. */
export function follow(
  route: "GET /v1/streams/{stream_id}/events",
): Operation<(id: string, options?: CallOptions & { lastEventId?: string }) => AsyncGenerator<StreamEvent, void, undefined>> {
  return (transport) => (id, options) =>
    transport.events(requestOf(route, [id], { takes: undefined, repeatable: true }).request, streamEvent, options);
}

/** Events of a tenant as they happen; they do not end. */
export function followAll(
  route: "GET /v1/webhooks/events",
): Operation<
  (query?: Query<typeof route>, options?: CallOptions & { lastEventId?: string }) => AsyncGenerator<TenantEvent, void, undefined>
> {
  return (transport) => (query, options) =>
    transport.events(requestOf(route, [query], { takes: "query", repeatable: true }).request, tenantEvent, options);
}

/** A file at the signed URL of an object. Its body is a stream of bytes. */
export function download<T>(urlOf: (source: T) => string | null | undefined): Operation<(source: T, options?: CallOptions) => Promise<Response>> {
  return (transport) =>
    async (source, options) => {
      const url = urlOf(source);
      if (!url) throw new TypeError("there is no file yet: wait until its status is ready");
      return await transport.download(url, options);
    };
}

interface Sending {
  takes: "body" | "query" | undefined;
  repeatable: boolean;
  creates?: boolean;
  statuses?: readonly number[];
}

function sending<R extends Route>(route: R, how: Sending): Call<R> {
  return (transport) =>
    async (...args) => {
      const { request, options } = requestOf(route, args, how);
      return (await transport.json(request, options)) as Answer<R>;
    };
}

/** Return the request that the arguments of a method mean, and the options among them. */
function requestOf(route: Route, args: readonly unknown[], how: Sending): { request: ApiRequest; options: CallOptions | undefined } {
  const [method, template] = route.split(" ") as [string, string];
  const rest = [...args];
  const path = template.replace(/\{[^}]*\}/g, () => {
    const id = rest.shift();
    if (typeof id !== "string" || id === "") throw new TypeError(`${route}: the id is empty`);
    return encodeURIComponent(id);
  });
  const input = how.takes && rest.shift();
  const options = rest.shift() as CallOptions | undefined;
  const headers: Record<string, string> = {};
  if (how.creates) headers["Idempotency-Key"] = options?.idempotencyKey ?? newKey();
  if (options?.revision !== undefined) headers["If-Match"] = `"${options.revision}"`;
  return {
    request: {
      method,
      path,
      headers,
      repeatable: how.repeatable,
      statuses: how.statuses ?? [],
      ...(how.takes === "body" ? { json: input } : { query: input as object | undefined }),
    },
    options,
  };
}

/** Return a key that no other call has. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
