"""Errors as answers: RFC 9457 problem documents, from one small tree.

Each class has a code for programs, a status, a title, and a sentence that says what to do; the
tree is also the documentation (`api/errors/reference.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from infra.redaction import redact

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_AFTER: Final = 2


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    pointer: str = Field(description="JSON pointer into the body, or `query/name`, `header/name`.")
    detail: str


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["/errors#stream_not_found"])
    title: str = Field(examples=["Stream not found"])
    status: int = Field(examples=[404])
    code: str = Field(description="Stable, for programs.", examples=["stream_not_found"])
    detail: str = Field(description="What happened and what to do about it.")
    request_id: str = Field(description="Quote it when you ask us about this error.")
    errors: list[FieldProblem] | None = None


class ItemProblem(BaseModel):
    """Why there is no result for one id; as in a problem document."""

    code: str
    status: int
    detail: str


class Problem(Exception):  # noqa: N818 - the name RFC 9457 gives it
    """The root of all errors that the API answers with."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    advice: ClassVar[str]

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.advice)
        self.detail = detail or self.advice
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def document(self, request_id: str) -> ProblemDocument:
        """Return what the answer says."""
        return ProblemDocument(
            type=f"/errors#{self.code}",
            title=self.title,
            status=self.status,
            code=self.code,
            detail=redact(self.detail),
            request_id=request_id,
            errors=self.errors or None,
        )

    def of_item(self) -> ItemProblem:
        """Return this as the result of one item of a batch."""
        return ItemProblem(code=self.code, status=self.status, detail=self.detail)

    def response(self, request_id: str) -> JSONResponse:
        """Return the HTTP response."""
        return JSONResponse(
            self.document(request_id).model_dump(exclude_none=True),
            status_code=self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


class MalformedJsonProblem(Problem):
    """The body is no JSON."""

    code = "malformed_json"
    status = 400
    title = "Malformed JSON"
    advice = "The body is not valid JSON: check its syntax and encoding (UTF-8)."


class InvalidCursorProblem(Problem):
    """A cursor was not made by us, or for another order."""

    code = "invalid_cursor"
    status = 400
    title = "Invalid cursor"
    advice = "Pass `next_cursor` of the previous page unchanged, with the same `sort`."


class NothingToSearchForProblem(Problem):
    """A search names no word, or only words that must not be there."""

    code = "nothing_to_search_for"
    status = 400
    title = "Nothing to search for"
    advice = "Put at least one word into `q` that has no minus sign before it."


class UnauthenticatedProblem(Problem):
    """No key, or none that is valid."""

    code = "unauthenticated"
    status = 401
    title = "Not authenticated"
    advice = "Send a valid API key: `Authorization: Bearer hl_live_…`."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="highlights"'})


class MissingScopeProblem(Problem):
    """The key may not do this."""

    code = "missing_scope"
    status = 403
    title = "Not permitted"
    advice = "Use an API key with the scope that this operation needs."


class InvalidSignatureProblem(Problem):
    """A clip URL was changed."""

    code = "invalid_signature"
    status = 403
    title = "Invalid signature"
    advice = "Use the URL exactly as the API gave it."


class ExpiredSignatureProblem(Problem):
    """A clip URL is too old."""

    code = "expired_signature"
    status = 403
    title = "URL expired"
    advice = "Read the highlight or clip again to get a new URL."


class WebhookSourceProblem(Problem):
    """An event came from an address that the connection does not allow."""

    code = "webhook_source_refused"
    status = 403
    title = "Address not allowed"
    advice = "Send from an address in the connection's `sources`; mind proxies between us."


class WebhookSecretProblem(Problem):
    """An event came without the connection's secret."""

    code = "webhook_secret_refused"
    status = 403
    title = "Secret missing or wrong"
    advice = "Send the connection's secret in its header, as set in the sender's dashboard."


class WebhookSignatureProblem(Problem):
    """An event's signature is missing, or of other bytes or another secret."""

    code = "webhook_signature_refused"
    status = 403
    title = "Signature missing or wrong"
    advice = "Sign the body as sent: `X-100ms-Signature: sha256=<HMAC-SHA256 in hex>`."


class WebhookTimestampProblem(Problem):
    """A signed event's time is too far from ours, or missing."""

    code = "webhook_timestamp_refused"
    status = 403
    title = "Event too old"
    advice = "Send events within the connection's `timestamp_tolerance`; check the clock."


class AddressNotAllowedProblem(Problem):
    """The key is bound to other addresses."""

    code = "address_not_allowed"
    status = 403
    title = "Address not allowed"
    advice = "Call from an address that the key allows, or let an administrator change its list."


class RouteNotFoundProblem(Problem):
    """There is no such path."""

    code = "route_not_found"
    status = 404
    title = "No such path"
    advice = "Check the path against the documentation at `/docs`."


class StreamNotFoundProblem(Problem):
    """The tenant has no such stream."""

    code = "stream_not_found"
    status = 404
    title = "Stream not found"
    advice = "Check the id, and that the key belongs to the tenant that made the stream."


class HighlightNotFoundProblem(Problem):
    """The tenant has no such highlight."""

    code = "highlight_not_found"
    status = 404
    title = "Highlight not found"
    advice = "Check the id, and that the key belongs to the highlight's tenant."


class ClipNotFoundProblem(Problem):
    """The tenant has no such clip, or it has no file (yet, or any more)."""

    code = "clip_not_found"
    status = 404
    title = "Clip not found"
    advice = "Check the id; a clip can be downloaded while its status is `ready`."


class ProfileNotFoundProblem(Problem):
    """The tenant has no such game profile."""

    code = "profile_not_found"
    status = 404
    title = "Profile not found"
    advice = "List the profiles to see their ids; `POST /v1/profiles/match` finds one by name."


class OverrideNotFoundProblem(Problem):
    """The tenant does not override this profile."""

    code = "override_not_found"
    status = 404
    title = "Override not found"
    advice = "The profile is used as it is shipped; put an override to change it."


class ConnectionNotFoundProblem(Problem):
    """There is no such 100ms connection, or none that serves this account."""

    code = "connection_not_found"
    status = 404
    title = "Connection not found"
    advice = "Check the id; a connection found by its account must check a secret or signature."


class KeyNotFoundProblem(Problem):
    """The tenant has no such API key."""

    code = "key_not_found"
    status = 404
    title = "Key not found"
    advice = "List the keys to see their ids; an id is not the key itself."


class EndpointNotFoundProblem(Problem):
    """The tenant has no such webhook endpoint."""

    code = "webhook_not_found"
    status = 404
    title = "Webhook endpoint not found"
    advice = "Check the id; list the endpoints to see those you have."


class DeliveryNotFoundProblem(Problem):
    """The tenant has no such delivery."""

    code = "delivery_not_found"
    status = 404
    title = "Delivery not found"
    advice = "Check the id; deliveries go with their endpoint when it is deleted."


class BudgetNotFoundProblem(Problem):
    """The tenant has set no budget for this kind of usage."""

    code = "budget_not_found"
    status = 404
    title = "Budget not found"
    advice = "Put a budget for the kind first; `GET /v1/usage/budgets` lists those there are."


class MethodNotAllowedProblem(Problem):
    """The path exists, but not for this method."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"
    advice = "Use a method that the `Allow` header names."


class NotAcceptableProblem(Problem):
    """The client accepts no form that this answer has."""

    code = "not_acceptable"
    status = 406
    title = "Not acceptable"
    advice = "Answers are JSON: send `Accept: application/json`, or no `Accept` at all."


class RequestInProgressProblem(Problem):
    """Another request under the same idempotency key has not ended."""

    code = "request_in_progress"
    status = 409
    title = "Request in progress"
    advice = "Wait a moment, then send the same request again to get its answer."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(_RETRY_AFTER)})


class KeyEndedProblem(Problem):
    """A key that is revoked or has expired is so for good."""

    code = "key_ended"
    status = 409
    title = "Key ended"
    advice = "Make a new key instead."


class KeyReplacedProblem(Problem):
    """The key has a successor already."""

    code = "key_replaced"
    status = 409
    title = "Key replaced before"
    advice = "Rotate its successor, which `replaced_by` names."


class LastAdministratorProblem(Problem):
    """After this change no key usable from here could administer the others for 30 days."""

    code = "last_admin_key"
    status = 409
    title = "Last key with the scope admin"
    advice = (
        "Make another key with the scope `admin` first, one that lasts and may be used from your "
        "address, then change this one."
    )


class OwnAddressExcludedProblem(Problem):
    """The request came with this very key, which could not be used from its address any more."""

    code = "own_address_excluded"
    status = 409
    title = "Own address excluded"
    advice = "Add the address that you call from, or make the change with another key."


class StreamQuotaExceededProblem(Problem):
    """The plan allows no more streams at a time than are under way."""

    code = "stream_quota_exceeded"
    status = 409
    title = "Too many streams"
    advice = "Stop a stream or wait for one to end, or ask us for a larger plan."


class EndpointDisabledProblem(Problem):
    """The webhook endpoint is disabled, so that nothing is sent to it."""

    code = "webhook_disabled"
    status = 409
    title = "Webhook endpoint disabled"
    advice = "Repair the endpoint, then enable it by `PATCH` with `status: enabled`."


class EndpointLimitProblem(Problem):
    """The tenant has as many webhook endpoints as it may have."""

    code = "webhook_limit_reached"
    status = 409
    title = "Too many webhook endpoints"
    advice = "Delete an endpoint that you no longer need, or change one by `PATCH`."


class PreconditionFailedProblem(Problem):
    """What was to be changed is no longer as the client last saw it."""

    code = "precondition_failed"
    status = 412
    title = "Changed meanwhile"
    advice = "Read it again, and send its new `ETag` as `If-Match` if your change still holds."


class BodyTooLargeProblem(Problem):
    """The body is larger than we read."""

    code = "body_too_large"
    status = 413
    title = "Body too large"
    advice = "Send a smaller body."


class UriTooLongProblem(Problem):
    """The path and query are longer than we read."""

    code = "uri_too_long"
    status = 414
    title = "URI too long"
    advice = "Send a shorter path and query; what is long belongs into a body."


class UnsupportedMediaTypeProblem(Problem):
    """The body is of a type that we do not read."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"
    advice = "Send the body as `Content-Type: application/json`."


class RangeNotSatisfiableProblem(Problem):
    """The range lies outside of the file."""

    code = "range_not_satisfiable"
    status = 416
    title = "Range not satisfiable"
    advice = "Ask for a range within the file's size, which `Content-Range` gives."


class InvalidRequestProblem(Problem):
    """Parts of the request are missing or wrong."""

    code = "invalid_request"
    status = 422
    title = "Invalid request"
    advice = "Correct the parts that `errors` names."


class InvalidProfileProblem(Problem):
    """With this change the game profiles would not be valid."""

    code = "invalid_profile"
    status = 422
    title = "Invalid profile"
    advice = "Correct what `errors` names; nothing was changed."


class UrlForbiddenProblem(Problem):
    """The URL is one that we must not request."""

    code = "url_forbidden"
    status = 422
    title = "URL not allowed"
    advice = "Give a public https URL: of an HLS playlist, or of your webhook endpoint."


class IdempotencyMismatchProblem(Problem):
    """An idempotency key was used again with other content."""

    code = "idempotency_key_reused"
    status = 422
    title = "Idempotency key used before"
    advice = "Use a new `Idempotency-Key` for a new request; repeat the old one unchanged."


class PreconditionRequiredProblem(Problem):
    """What exists is changed only by who says which state of it they saw."""

    code = "precondition_required"
    status = 428
    title = "If-Match missing"
    advice = "Read it first, and send its `ETag` as `If-Match`, so that no change is lost."


class RateLimitedProblem(Problem):
    """A key, its tenant or an address asks for more than it may."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"
    advice = "Wait for the seconds in `Retry-After`, and watch `RateLimit` to stay within."

    def __init__(self, detail: str | None = None, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class HeadersTooLargeProblem(Problem):
    """The headers are larger than we read."""

    code = "headers_too_large"
    status = 431
    title = "Headers too large"
    advice = "Send fewer or shorter headers."


class TooManyConnectionsProblem(Problem):
    """The tenant follows as many streams by events as it may at a time."""

    code = "too_many_connections"
    status = 429
    title = "Too many connections"
    advice = "Close a connection to `/events` that you no longer need, then try again."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(_RETRY_AFTER)})


class OtherHttpProblem(Problem):
    """The request cannot be read as HTTP, or the server refuses it for its form."""

    code = "bad_request"
    status = 400
    title = "Bad request"
    advice = "Send well-formed HTTP/1.1: escape the path, and check headers and chunk sizes."


class InternalProblem(Problem):
    """A mistake of ours."""

    code = "internal_error"
    status = 500
    title = "Internal error"
    advice = "It is our mistake and has been logged; tell us the `request_id` if it lasts."


class UnavailableProblem(Problem):
    """The database or the workflow service is away."""

    code = "service_unavailable"
    status = 503
    title = "Service unavailable"
    advice = "Nothing was changed; try again after the seconds in `Retry-After`."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(_RETRY_AFTER)})


def all_problems() -> Iterator[type[Problem]]:
    """Yield every kind of problem, by status."""
    yield from sorted(Problem.__subclasses__(), key=lambda kind: (kind.status, kind.code))
