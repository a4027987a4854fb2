"""Errors as RFC 9457 problem documents.

Each class has a code for programs, an HTTP status, a title, and advice for people. The reference of
errors is generated from them (`api/errors/reference.py`).
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
    code: str = Field(description="Stable code for programs.", examples=["stream_not_found"])
    detail: str = Field(description="What happened and what to do about it.")
    request_id: str = Field(description="Include it when you contact us about this error.")
    errors: list[FieldProblem] | None = None


class ItemProblem(BaseModel):
    """Why there is no result for one id; as in a problem document."""

    code: str
    status: int
    detail: str


class Problem(Exception):  # noqa: N818 - the name RFC 9457 gives it
    """Base of all errors that the API responds with."""

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
        """Return the problem document."""
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
    """The body is not valid JSON."""

    code = "malformed_json"
    status = 400
    title = "Malformed JSON"
    advice = "The body is not valid JSON: check its syntax and encoding (UTF-8)."


class InvalidCursorProblem(Problem):
    """The cursor is not one of ours, or belongs to another sort order."""

    code = "invalid_cursor"
    status = 400
    title = "Invalid cursor"
    advice = "Pass `next_cursor` of the previous page unchanged, with the same `sort`."


class NothingToSearchForProblem(Problem):
    """The query contains no word, or only excluded ones."""

    code = "nothing_to_search_for"
    status = 400
    title = "Nothing to search for"
    advice = "Include at least one word without a minus sign in `q`."


class UnauthenticatedProblem(Problem):
    """The API key is missing or invalid."""

    code = "unauthenticated"
    status = 401
    title = "Not authenticated"
    advice = "Send a valid API key: `Authorization: Bearer hl_live_…`."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="highlights"'})


class MissingScopeProblem(Problem):
    """The API key lacks the required scope."""

    code = "missing_scope"
    status = 403
    title = "Not permitted"
    advice = "Use an API key with the scope that this operation needs."


class InvalidSignatureProblem(Problem):
    """The clip URL was modified."""

    code = "invalid_signature"
    status = 403
    title = "Invalid signature"
    advice = "Use the URL exactly as the API returned it."


class ExpiredSignatureProblem(Problem):
    """The clip URL has expired."""

    code = "expired_signature"
    status = 403
    title = "URL expired"
    advice = "Read the highlight or clip again to get a new URL."


class WebhookSourceProblem(Problem):
    """The event came from an address that the connection does not allow."""

    code = "webhook_source_refused"
    status = 403
    title = "Address not allowed"
    advice = "Send from an address in the connection's `sources`; check for proxies in between."


class WebhookSecretProblem(Problem):
    """The event lacks the connection's secret."""

    code = "webhook_secret_refused"
    status = 403
    title = "Secret missing or wrong"
    advice = "Send the connection's secret in its header, as set in the 100ms dashboard."


class WebhookSignatureProblem(Problem):
    """The event's signature is missing or does not match."""

    code = "webhook_signature_refused"
    status = 403
    title = "Signature missing or wrong"
    advice = "Sign the body as sent: `X-100ms-Signature: sha256=<HMAC-SHA256 in hex>`."


class WebhookTimestampProblem(Problem):
    """The signed event's time is missing or too far from ours."""

    code = "webhook_timestamp_refused"
    status = 403
    title = "Event too old"
    advice = "Send events within the connection's `timestamp_tolerance`; check the clock."


class AddressNotAllowedProblem(Problem):
    """The API key may not be used from this address."""

    code = "address_not_allowed"
    status = 403
    title = "Address not allowed"
    advice = "Call from an address that the key allows, or have an administrator change its list."


class RouteNotFoundProblem(Problem):
    """The path does not exist."""

    code = "route_not_found"
    status = 404
    title = "Path not found"
    advice = "Check the path against the documentation at `/docs`."


class StreamNotFoundProblem(Problem):
    """The tenant has no such stream."""

    code = "stream_not_found"
    status = 404
    title = "Stream not found"
    advice = "Check the id, and that the key belongs to the stream's tenant."


class HighlightNotFoundProblem(Problem):
    """The tenant has no such highlight."""

    code = "highlight_not_found"
    status = 404
    title = "Highlight not found"
    advice = "Check the id, and that the key belongs to the highlight's tenant."


class EmbeddingDisabledProblem(Problem):
    """The tenant does not allow its highlights to be embedded."""

    code = "embedding_disabled"
    status = 403
    title = "Embedding disabled"
    advice = "The tenant can allow it with `PUT /v1/embed-policy`."


class OEmbedFormatProblem(Problem):
    """The oEmbed response is not available in the requested format."""

    code = "oembed_format"
    status = 501
    title = "Format not implemented"
    advice = "Ask for `format=json`."


class ClipNotFoundProblem(Problem):
    """The tenant has no such clip, or its file is not available."""

    code = "clip_not_found"
    status = 404
    title = "Clip not found"
    advice = "Check the id; a clip can be downloaded while its status is `ready`."


class ExportNotFoundProblem(Problem):
    """The tenant has no such export, or no such file of it is available."""

    code = "export_not_found"
    status = 404
    title = "Export not found"
    advice = "Check the id; a rendition can be downloaded while its status is `ready`."


class ProfileNotFoundProblem(Problem):
    """The tenant has no such game profile."""

    code = "profile_not_found"
    status = 404
    title = "Profile not found"
    advice = "List the profiles to see their ids; `POST /v1/profiles/match` finds one by name."


class OverrideNotFoundProblem(Problem):
    """The tenant has no override of this profile."""

    code = "override_not_found"
    status = 404
    title = "Override not found"
    advice = "The shipped profile is in use; put an override to change it."


class ConnectionNotFoundProblem(Problem):
    """There is no such 100ms connection, or none for this account."""

    code = "connection_not_found"
    status = 404
    title = "Connection not found"
    advice = "Check the id; a connection found by account must require a secret or a signature."


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
    advice = "Check the id; list your endpoints to see their ids."


class DeliveryNotFoundProblem(Problem):
    """The tenant has no such delivery."""

    code = "delivery_not_found"
    status = 404
    title = "Delivery not found"
    advice = "Check the id; deleting an endpoint deletes its deliveries."


class BudgetNotFoundProblem(Problem):
    """The tenant has no budget for this kind of usage."""

    code = "budget_not_found"
    status = 404
    title = "Budget not found"
    advice = "Put a budget for this kind first; `GET /v1/usage/budgets` lists your budgets."


class MethodNotAllowedProblem(Problem):
    """The path does not support this method."""

    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"
    advice = "Use a method listed in the `Allow` header."


class NotAcceptableProblem(Problem):
    """The client does not accept the response's media type."""

    code = "not_acceptable"
    status = 406
    title = "Not acceptable"
    advice = "Responses are JSON: send `Accept: application/json`, or omit `Accept`."


class RequestInProgressProblem(Problem):
    """Another request with the same idempotency key is still running."""

    code = "request_in_progress"
    status = 409
    title = "Request in progress"
    advice = "Wait a moment, then retry the same request to get its response."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(_RETRY_AFTER)})


class KeyEndedProblem(Problem):
    """The key is revoked or expired, which is permanent."""

    code = "key_ended"
    status = 409
    title = "Key revoked or expired"
    advice = "Create a new key."


class KeyReplacedProblem(Problem):
    """The key has already been rotated."""

    code = "key_replaced"
    status = 409
    title = "Key already replaced"
    advice = "Rotate the key in `replaced_by` instead."


class LastAdministratorProblem(Problem):
    """No `admin` key usable from your address would remain for 30 days."""

    code = "last_admin_key"
    status = 409
    title = "Last admin key"
    advice = (
        "First create another key with the scope `admin` that does not expire soon and can be used "
        "from your address, then change this one."
    )


class OwnAddressExcludedProblem(Problem):
    """The key of this request could no longer be used from your address."""

    code = "own_address_excluded"
    status = 409
    title = "Own address excluded"
    advice = "Add the address that you call from, or use another key for this change."


class StreamQuotaExceededProblem(Problem):
    """The plan allows no more concurrent streams."""

    code = "stream_quota_exceeded"
    status = 409
    title = "Too many streams"
    advice = "Stop a stream, wait for one to end, or contact us for a larger plan."


class ClipQuotaExceededProblem(Problem):
    """The plan allows no more clips on demand within 24 hours."""

    code = "clip_quota_exceeded"
    status = 409
    title = "Too many clips"
    advice = "Wait until earlier ones are older than 24 hours, or contact us for a larger plan."


class HighlightClipProblem(Problem):
    """The clip belongs to a highlight."""

    code = "clip_of_highlight"
    status = 409
    title = "Clip of a highlight"
    advice = "Only clips on demand can be deleted; a highlight's clip is deleted with its stream."


class ReviewClosedProblem(Problem):
    """The highlight cannot be approved or rejected any more."""

    code = "review_closed"
    status = 409
    title = "Review closed"
    advice = "Only highlights whose `review` has the status `awaiting` can be approved."


class MediaMissingProblem(Problem):
    """Media is missing within the span of a clip."""

    code = "media_missing"
    status = 409
    title = "Media missing"
    advice = "Ask for a span without the missing parts, or send `on_gap: split`."


class MediaNotReadyProblem(Problem):
    """The span of a clip reaches into the future."""

    code = "media_not_ready"
    status = 409
    title = "Media not there yet"
    advice = "Retry when the stream's `position` has passed the end of the clip."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(_RETRY_AFTER)})


class NoWallClockProblem(Problem):
    """The stream does not say which time it is."""

    code = "no_wall_clock"
    status = 409
    title = "No wall clock"
    advice = "Use `from` and `to`, or `last`."


class MediaGoneProblem(Problem):
    """The media of a clip is no longer kept."""

    code = "media_gone"
    status = 410
    title = "Media no longer kept"
    advice = "Ask for a clip while its media is kept, or play the finished file if there is one."


class HighlightWithheldProblem(Problem):
    """Nothing of the highlight is delivered, by its publication policy."""

    code = "highlight_withheld"
    status = 410
    title = "Highlight withheld"
    advice = "Read the highlight: its `withheld` says why."


class TerritoryDeniedProblem(Problem):
    """The highlight may not be shown where the viewer is, by its publication policy."""

    code = "territory_denied"
    status = 451
    title = "Not available in this territory"
    advice = "Nothing, as a viewer. The tenant changes the `territories` of the stream's policy."


class ExportQuotaExceededProblem(Problem):
    """The plan allows no more exports at a time, or fewer renditions in one."""

    code = "export_quota_exceeded"
    status = 409
    title = "Too many exports"
    advice = "Wait for an export to finish, ask for fewer renditions, or for a larger plan."


class DeletionNotFoundProblem(Problem):
    """The deletion does not exist, or belongs to another tenant."""

    code = "deletion_not_found"
    status = 404
    title = "Deletion not found"
    advice = "Check the id; `GET /v1/deletions` lists your deletions."


class LegalHoldProblem(Problem):
    """The stream, or a highlight of it, is under legal hold."""

    code = "legal_hold"
    status = 409
    title = "Under legal hold"
    advice = "Lift the hold of the stream and of its highlights first; an admin key can."


class DeletionInProgressProblem(Problem):
    """The stream is being deleted, so that nothing of it can be held any more."""

    code = "deletion_in_progress"
    status = 409
    title = "Deletion in progress"
    advice = "Read the deletion of the stream: `GET /v1/deletions`."


class NothingToExportProblem(Problem):
    """No highlight with a ready clip matches a batch, or fits into a reel."""

    code = "nothing_to_export"
    status = 409
    title = "Nothing to export"
    advice = "Widen the filter, or wait until clips of the highlights are ready (`clip.ready`)."


class ExportBatchNotFoundProblem(Problem):
    """The batch of exports does not exist, or belongs to another tenant."""

    code = "export_batch_not_found"
    status = 404
    title = "Batch not found"
    advice = "Check the id; `GET /v1/export-batches` lists your batches."


class SourceNotReadyProblem(Problem):
    """The clip to export is not ready."""

    code = "source_not_ready"
    status = 409
    title = "Source not ready"
    advice = "Wait for the event `clip.ready`, or export a span of the stream."


class EndpointDisabledProblem(Problem):
    """The webhook endpoint is disabled."""

    code = "webhook_disabled"
    status = 409
    title = "Webhook endpoint disabled"
    advice = "Fix the endpoint, then enable it by `PATCH` with `status: enabled`."


class EndpointLimitProblem(Problem):
    """The tenant has the maximum number of webhook endpoints."""

    code = "webhook_limit_reached"
    status = 409
    title = "Too many webhook endpoints"
    advice = "Delete an unused endpoint, or change an existing one by `PATCH`."


class PreconditionFailedProblem(Problem):
    """The resource has changed since the client read it."""

    code = "precondition_failed"
    status = 412
    title = "Precondition failed"
    advice = "Read it again and, if your change still applies, send the new `ETag` as `If-Match`."


class BodyTooLargeProblem(Problem):
    """The body exceeds the size limit."""

    code = "body_too_large"
    status = 413
    title = "Body too large"
    advice = "Send a smaller body."


class UriTooLongProblem(Problem):
    """The path and query exceed the size limit."""

    code = "uri_too_long"
    status = 414
    title = "URI too long"
    advice = "Send a shorter path and query; put long values into the body."


class UnsupportedMediaTypeProblem(Problem):
    """The body has an unsupported media type."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"
    advice = "Send the body as `Content-Type: application/json`."


class RangeNotSatisfiableProblem(Problem):
    """The range is outside the file."""

    code = "range_not_satisfiable"
    status = 416
    title = "Range not satisfiable"
    advice = "Request a range within the file size, which is in `Content-Range`."


class InvalidRequestProblem(Problem):
    """Parts of the request are missing or invalid."""

    code = "invalid_request"
    status = 422
    title = "Invalid request"
    advice = "Correct the parts listed in `errors`."


class ClipTooLongProblem(Problem):
    """The plan allows no clip on demand of this length."""

    code = "clip_too_long"
    status = 422
    title = "Clip too long"
    advice = "Ask for a shorter clip, or contact us for a larger plan."


class InvalidProfileProblem(Problem):
    """The change would make the game profiles invalid."""

    code = "invalid_profile"
    status = 422
    title = "Invalid profile"
    advice = "Correct the parts listed in `errors`. Nothing was changed."


class UrlForbiddenProblem(Problem):
    """The URL is not one that we may request."""

    code = "url_forbidden"
    status = 422
    title = "URL not allowed"
    advice = "Use a public https URL of an HLS playlist or of your webhook endpoint."


class IdempotencyMismatchProblem(Problem):
    """The idempotency key was used for a different request."""

    code = "idempotency_key_reused"
    status = 422
    title = "Idempotency key reused"
    advice = "Use a new `Idempotency-Key` for a new request; retry the old one unchanged."


class PreconditionRequiredProblem(Problem):
    """The change requires `If-Match`."""

    code = "precondition_required"
    status = 428
    title = "If-Match missing"
    advice = "Read it first and send its `ETag` as `If-Match`, so that no change is lost."


class RateLimitedProblem(Problem):
    """A key, its tenant or an address exceeds its rate limit."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"
    advice = "Wait for the seconds in `Retry-After`; use `RateLimit` to stay within your limits."

    def __init__(self, detail: str | None = None, *, retry_after: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class HeadersTooLargeProblem(Problem):
    """The headers exceed the size limit."""

    code = "headers_too_large"
    status = 431
    title = "Headers too large"
    advice = "Send fewer or shorter headers."


class TooManyConnectionsProblem(Problem):
    """The tenant has the maximum number of open event connections."""

    code = "too_many_connections"
    status = 429
    title = "Too many connections"
    advice = "Close a connection to `/events` that you no longer need, then retry."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(_RETRY_AFTER)})


class OtherHttpProblem(Problem):
    """The request is not well-formed HTTP, or the server refuses it."""

    code = "bad_request"
    status = 400
    title = "Bad request"
    advice = "Send well-formed HTTP/1.1: escape the path, and check headers and chunk sizes."


class InternalProblem(Problem):
    """An error on our side."""

    code = "internal_error"
    status = 500
    title = "Internal error"
    advice = "The error has been logged. If it persists, contact us with the `request_id`."


class UnavailableProblem(Problem):
    """The database, the workflow service or the store of clips is unavailable."""

    code = "service_unavailable"
    status = 503
    title = "Service unavailable"
    advice = "Nothing was changed; retry after the seconds in `Retry-After`."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(_RETRY_AFTER)})


def all_problems() -> Iterator[type[Problem]]:
    """Yield all problem classes, by status."""
    yield from sorted(Problem.__subclasses__(), key=lambda kind: (kind.status, kind.code))
