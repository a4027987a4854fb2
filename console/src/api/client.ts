// The public API, typed by its OpenAPI document.
import createClient, { type Middleware } from "openapi-fetch";
import { currentKey, signOut } from "../session";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** A problem document (RFC 9457) of the API, or of a connection that failed. */
export interface Problem {
  title: string;
  detail: string;
  status: number;
  code: string;
  request_id?: string;
  errors?: { pointer?: string; parameter?: string; detail: string }[];
}

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

const UNREACHABLE: Problem = {
  title: "The API cannot be reached",
  detail: "Check your connection and that the server is running, then try again.",
  status: 0,
  code: "unreachable",
};

const authentication: Middleware = {
  onRequest({ request }) {
    const key = currentKey();
    if (key && !request.headers.has("Authorization")) {
      request.headers.set("Authorization", `Bearer ${key}`);
    }
    return request;
  },
  onResponse({ request, response }) {
    // The key was revoked or has expired: ask for another one.
    if (response.status === 401 && request.headers.get("Authorization") === `Bearer ${currentKey()}`) {
      signOut();
    }
  },
};

export const api = createClient<paths>({ baseUrl: location.origin });
api.use(authentication);

/** Return the body of a response.
 *
 * @throws ApiError the API refused the request, or cannot be reached.
 */
export async function unwrap<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  let result;
  try {
    result = await answer;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (!result.response.ok) throw new ApiError(problemOf(result.error, result.response));
  return result.data as T;
}

function problemOf(body: unknown, response: Response): Problem {
  if (typeof body === "object" && body !== null && "title" in body) return body as Problem;
  return {
    title: `The server answered ${response.status}`,
    detail: response.statusText,
    status: response.status,
    code: "unexpected",
  };
}

/** Return a new value for the header `Idempotency-Key`. Use the same one for retries. */
export function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
