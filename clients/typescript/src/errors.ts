import type { FieldProblem, ProblemDocument } from "./schema.js";

/** Base of all errors of this package. The message says what to do. */
export class HighlightsError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No response arrived. The API may or may not have acted on the request. */
export class ConnectionFailedError extends HighlightsError {}

/** The response is none that the API documents; a proxy may have written it. */
export class UnexpectedAnswerError extends HighlightsError {}

/** A webhook request is not from the API, was changed on its way, or is old: answer with 400. */
export class WebhookVerificationError extends HighlightsError {}

/** The API refused a request and said why (RFC 9457). */
export class ApiError extends HighlightsError {
  /** HTTP status. */
  readonly status: number;
  /** Stable code for programs, such as `stream_not_found`. `/errors` of the API lists them. */
  readonly code: string;
  /** The kind of problem in words. */
  readonly title: string;
  /** What is wrong and what to do, for people. */
  readonly detail: string;
  /** Include it when you contact us about this error. */
  readonly requestId: string | undefined;
  /** Seconds after which to try again, if the API says so. */
  readonly retryAfter: number | undefined;
  /** The parts of the request that are wrong. */
  readonly errors: readonly FieldProblem[];

  constructor(
    status: number,
    problem: Partial<ProblemDocument>,
    options: { requestId?: string | undefined; retryAfter?: number | undefined } = {},
  ) {
    const code = problem.code ?? `http_${status}`;
    const detail = problem.detail || problem.title || "The response does not say why.";
    const errors = problem.errors ?? [];
    const requestId = problem.request_id ?? options.requestId;
    const parts = errors.map((each) => ` ${each.pointer}: ${each.detail}.`).join("");
    super(`${status} ${code}: ${detail}${parts} (request ${requestId ?? "unknown"})`);
    this.status = status;
    this.code = code;
    this.title = problem.title ?? "Refused";
    this.detail = detail;
    this.requestId = requestId;
    this.retryAfter = options.retryAfter;
    this.errors = errors;
  }
}

/** The request is wrong: correct what `errors` lists. */
export class InvalidRequestError extends ApiError {}

/** The API key is missing or not valid. */
export class AuthenticationError extends ApiError {}

/** The key may not do this or not from this address, or a signed URL has expired. */
export class PermissionDeniedError extends ApiError {}

/** The tenant has no such object. */
export class NotFoundError extends ApiError {}

/** The object is in a state that does not allow this, or has changed since it was read. */
export class ConflictError extends ApiError {}

/** More requests than the plan allows; `retryAfter` says how long to wait. */
export class RateLimitedError extends ApiError {}

/** The service failed, or something that it needs is unavailable. */
export class ServerError extends ApiError {}

/** Return the error of a response; `text` is its body. */
/** @internal */
export function errorOf(response: Response, text: string): ApiError {
  let problem: Partial<ProblemDocument> = {};
  try {
    problem = Object(JSON.parse(text)) as Partial<ProblemDocument>;
  } catch {
    // A proxy wrote it: the status has to do.
  }
  return errorIn(response.status, problem, {
    requestId: response.headers.get("X-Request-Id") ?? undefined,
    retryAfter: retryAfter(response),
  });
}

/** Return the error of a problem document. */
export function errorIn(
  status: number,
  problem: Partial<ProblemDocument>,
  options: { requestId?: string | undefined; retryAfter?: number | undefined } = {},
): ApiError {
  return new (kindOf(status))(status, problem, options);
}

/** Return the seconds in `Retry-After`, a number or an HTTP date, if there are any. */
export function retryAfter(response: Response): number | undefined {
  const value = response.headers.get("Retry-After")?.trim();
  if (!value) return undefined;
  const seconds = Number(value);
  const wait = Number.isFinite(seconds) ? seconds : (Date.parse(value) - Date.now()) / 1000;
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}

function kindOf(status: number): typeof ApiError {
  switch (status) {
    case 400: case 405: case 406: case 413: case 414: case 415: case 416: case 422: case 431:
      return InvalidRequestError;
    case 401:
      return AuthenticationError;
    case 403:
      return PermissionDeniedError;
    case 404: case 410:
      return NotFoundError;
    case 409: case 412: case 428:
      return ConflictError;
    case 429:
      return RateLimitedError;
    default:
      return status >= 500 ? ServerError : ApiError;
  }
}
