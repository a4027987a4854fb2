"""Names of the schemas in the OpenAPI document.

FastAPI names schemas after our classes, and adds the module to names that exist twice. The public
names are fixed here, so that they stay when a class is renamed or moved.
"""

from __future__ import annotations

from typing import Any, Final

_REF: Final = "#/components/schemas/"

NAMES: Final = {
    "AttemptModel": "DeliveryAttempt",
    "AuditActorModel": "AuditActor",
    "AuditEntryModel": "AuditEntry",
    "AuditTarget": "AuditTargetKind",
    "AuditTargetModel": "AuditTarget",
    "BrandingModel": "Branding",
    "BrandingRequest": "PutBrandingRequest",
    "BatchStopItem": "StreamResult",
    "BatchFileModel": "ExportBatchFile",
    "BatchManifestModel": "ExportBatchManifest",
    "BatchRequest": "CreateExportBatchRequest",
    "Bucket": "UsageBucket",
    "BudgetModel": "Budget",
    "Check": "ReadinessCheck",
    "ChapterModel": "Chapter",
    "ChecksModel": "ConnectionChecks",
    "ChecksPatch": "ConnectionChecksPatch",
    "ClipModel": "Clip",
    "ConnectionModel": "Connection",
    "Correction": "SpellingCorrection",
    "CreatedKey": "ApiKeyWithSecret",
    "CreateKeyRequest": "CreateApiKeyRequest",
    "DeletionModel": "Deletion",
    "DeletionRequest": "CreateDeletionRequest",
    "DeliveryModel": "Delivery",
    "Dimensions": "HighlightDimensions",
    "EmbedPolicyModel": "EmbedPolicy",
    "EmbedPolicyRequest": "PutEmbedPolicyRequest",
    "EndpointModel": "WebhookEndpoint",
    "EndpointPatch": "WebhookEndpointPatch",
    "EndpointPayload": "WebhookEndpointPayload",
    "EndpointStatus": "WebhookEndpointStatus",
    "EndpointWithSecret": "WebhookEndpointWithSecret",
    "ExportBatchModel": "ExportBatch",
    "ExportModel": "Export",
    "ExportRequest": "CreateExportRequest",
    "ExportSourceModel": "ExportSource",
    "FeedClockModel": "FeedClock",
    "FeedClockRequest": "PutFeedClockRequest",
    "FeedEventModel": "FeedEventResult",
    "FeedEventResults": "SendFeedEventsResponse",
    "FeedEventsRequest": "SendFeedEventsRequest",
    "FeedbackModel": "Feedback",
    "GapModel": "Gap",
    "HighlightIds": "BatchGetHighlightsRequest",
    "HighlightModel": "Highlight",
    "HighlightResults": "BatchGetHighlightsResponse",
    "InboundEventModel": "InboundEvent",
    "KeyMode": "ApiKeyMode",
    "KeyModel": "ApiKey",
    "KeyStatus": "ApiKeyStatus",
    "ManagementKeyModel": "ManagementKey",
    "LegalHoldRequest": "PutLegalHoldRequest",
    "MatchRequest": "MatchProfileRequest",
    "Outcome": "InboundEventOutcome",
    "OverrideDetail": "ProfileOverrideDetail",
    "OverrideHistory": "ProfileOverrideHistory",
    "OverrideModel": "ProfileOverride",
    "OverridePatch": "PutProfileOverrideRequest",
    "Page_AuditEntryModel_": "AuditEntryList",
    "Page_ConnectionModel_": "ConnectionList",
    "Page_DeletionModel_": "DeletionList",
    "Page_DeliveryModel_": "DeliveryList",
    "Page_EndpointModel_": "WebhookEndpointList",
    "Page_ExportBatchModel_": "ExportBatchList",
    "Page_ExportModel_": "ExportList",
    "Page_FeedEventModel_": "FeedEventList",
    "Page_FeedbackModel_": "FeedbackList",
    "Page_HighlightModel_": "HighlightList",
    "Page_KeyModel_": "ApiKeyList",
    "Page_ClipDetail_": "ClipList",
    "Page_StreamModel_": "StreamList",
    "PlaybackModel": "Playback",
    "PolicyRequest": "PublicationPolicyRequest",
    "ReadinessReport": "Readiness",
    "Reason": "HighlightReason",
    "RenditionModel": "ExportRendition",
    "RenditionRequest": "CreateRenditionRequest",
    "Receipt": "InboundEventReceipt",
    "PreviewRequest": "PreviewProfileOverrideRequest",
    "ReplayRequest": "ReplayEventsRequest",
    "ReplayResult": "ReplayEventsResponse",
    "Release": "HighlightRelease",
    "ReviewModel": "Review",
    "ReviewRequest": "ReviewHighlightRequest",
    "RotateKeyRequest": "RotateApiKeyRequest",
    "RotateRequest": "RotateWebhookSecretRequest",
    "SearchPage": "SearchResultList",
    "SecretsModel": "ConnectionSecrets",
    "SimilarHighlights": "SimilarHighlightList",
    "Sort": "HighlightSort",
    "StreamEndModel": "StreamEnd",
    "StreamIds": "BatchStopStreamsRequest",
    "StreamModel": "Stream",
    "StreamProblemModel": "StreamProblem",
    "StreamResults": "BatchStopStreamsResponse",
    "SubscribeRequest": "SubscribeWebhookRequest",
    "TasteModel": "ProfileTaste",
    "TasteRequest": "UpdateProfileTasteRequest",
    "TenantPolicyRequest": "PutPolicyRequest",
    "TextFragment": "SearchMatchPiece",
    "TextMatch": "SearchMatch",
    "Tier": "HighlightTier",
    "UpdateKeyRequest": "UpdateApiKeyRequest",
    "UsageModel": "UsageItem",
    "Verdict": "FeedbackVerdict",
    "WatermarkRequest": "ExportWatermark",
    "LowerThirdRequest": "ExportLowerThird",
}
"""Public names by FastAPI's; what is not in it is called as its class is."""


class AmbiguousSchemaError(Exception):
    """Two different schemas have the same name."""


def name_schemas(document: dict[str, Any]) -> None:
    """Rename the schemas of an OpenAPI document to their public names, in place.

    Raises:
        AmbiguousSchemaError: two schemas would have the same name.
    """
    schemas: dict[str, Any] = document["components"]["schemas"]
    _rename_references(document)
    named: dict[str, Any] = {}
    for name, schema in schemas.items():
        public = NAMES.get(name, name)
        schema["title"] = public
        if named.setdefault(public, schema) != schema:
            raise AmbiguousSchemaError(f"{name} and another schema are both called {public}")
    document["components"]["schemas"] = dict(sorted(named.items()))


def _rename_references(part: object) -> None:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            name = reference.removeprefix(_REF)
            part["$ref"] = _REF + NAMES.get(name, name)
        mapping = part.get("mapping")
        if isinstance(mapping, dict):  # of a discriminator, whose values are references too
            for key, target in mapping.items():
                name = str(target).removeprefix(_REF)
                mapping[key] = _REF + NAMES.get(name, name)
        for each in part.values():
            _rename_references(each)
    elif isinstance(part, list):
        for each in part:
            _rename_references(each)
