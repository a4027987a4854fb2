"""Requests of the protocol, as strict as the documents say.

Names may be written in camelCase or as in the proto files (snake_case), as proto3's JSON mapping
allows; the SDK sends both.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from tests.fakes.gemini.rpc import RpcError, bad_field

MOST_INLINE = 20 * 1024 * 1024
"""Bytes that a request may have in all, inline data included."""

# https://ai.google.dev/gemini-api/docs/video-understanding: MPEG-TS is not among them.
VIDEO_TYPES = (
    *("video/mp4", "video/mpeg", "video/mov", "video/avi", "video/x-flv", "video/mpg"),
    *("video/webm", "video/wmv", "video/3gpp"),
)
_SCHEMA_WORDS = {
    *("$defs", "$id", "$ref", "additionalProperties", "anyOf", "description", "enum", "format"),
    *("items", "maxItems", "maximum", "minItems", "minimum", "oneOf", "prefixItems"),
    *("properties", "propertyOrdering", "required", "title", "type"),
}


_TO_STANDARD = str.maketrans("-_", "+/")


class Wire(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True
    )


def _known_schema(schema: dict[str, Any]) -> dict[str, Any]:
    unknown = set(schema) - _SCHEMA_WORDS
    if unknown:
        raise ValueError(f"schema keywords {sorted(unknown)} are not supported")
    properties = schema.get("properties", {})
    missing = set(schema.get("required", ())) - set(properties)
    if missing:
        raise ValueError(f"required names {sorted(missing)} are not among the properties")
    for part in [*properties.values(), *([schema["items"]] if "items" in schema else [])]:
        _known_schema(part)
    return schema


T = TypeVar("T", bound=Wire)
Offset = Annotated[str, Field(pattern=r"^\d+(\.\d{1,9})?s$")]
Schema = Annotated[dict[str, Any], AfterValidator(_known_schema)]


class VideoMetadata(Wire):
    start_offset: Offset | None = None
    end_offset: Offset | None = None
    fps: float | None = Field(default=None, gt=0, le=24)

    @property
    def start(self) -> float:
        return float(self.start_offset.rstrip("s")) if self.start_offset else 0.0

    @property
    def end(self) -> float:
        return float(self.end_offset.rstrip("s")) if self.end_offset else float("inf")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start_offset must lie before end_offset")
        return self


class Blob(Wire):
    mime_type: Literal[VIDEO_TYPES]  # type: ignore[valid-type]  # a tuple, for the error's text
    data: str

    def content(self) -> bytes:
        """Decode either alphabet, as proto3's JSON mapping allows."""
        try:
            return base64.b64decode(self.data.translate(_TO_STANDARD), validate=True)
        except binascii.Error as error:
            raise bad_field("inline_data.data", f"Base64 decoding failed: {error}") from error


class FileData(Wire):
    mime_type: Literal[VIDEO_TYPES]  # type: ignore[valid-type]
    file_uri: str


class Part(Wire):
    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    video_metadata: VideoMetadata | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [self.text, self.inline_data, self.file_data]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a part holds exactly one of text, inline_data and file_data")
        if self.video_metadata is not None and self.text is not None:
            raise ValueError("video_metadata belongs to video")
        return self


class Content(Wire):
    role: Literal["user", "model"] = "user"
    parts: tuple[Part, ...] = Field(min_length=1)


class ThinkingConfig(Wire):
    include_thoughts: bool | None = None
    thinking_budget: int | None = Field(default=None, ge=-1, le=24576)
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"] | None = None


class GenerationConfig(Wire):
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: float | None = None
    seed: int | None = None
    candidate_count: int | None = Field(default=None, ge=1, le=8)
    max_output_tokens: int | None = Field(default=None, gt=0)
    stop_sequences: tuple[str, ...] | None = Field(default=None, max_length=5)
    response_mime_type: Literal["text/plain", "application/json", "text/x.enum"] = "text/plain"
    response_schema: Schema | None = None
    response_json_schema: Schema | None = None
    media_resolution: (
        Literal["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"] | None
    ) = None
    thinking_config: ThinkingConfig | None = None

    @property
    def schema_asked(self) -> dict[str, Any] | None:
        return self.response_json_schema or self.response_schema

    @model_validator(mode="after")
    def _schema_needs_json(self) -> Self:
        if self.response_schema is not None and self.response_json_schema is not None:
            raise ValueError("only one of response_schema and response_json_schema may be set")
        if self.schema_asked is not None and self.response_mime_type != "application/json":
            raise ValueError("a response schema needs response_mime_type application/json")
        return self


class SafetySetting(Wire):
    category: Literal[
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
    ]
    threshold: Literal[
        "BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"
    ]


class SystemInstruction(Wire):
    role: str | None = None
    parts: tuple[Part, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _text_only(self) -> Self:
        if any(part.text is None for part in self.parts):
            raise ValueError("a system instruction is text only")
        return self


class GenerateContentRequest(Wire):
    contents: tuple[Content, ...] = Field(min_length=1)
    system_instruction: SystemInstruction | None = None
    generation_config: GenerationConfig = GenerationConfig()
    safety_settings: tuple[SafetySetting, ...] = ()
    cached_content: str | None = Field(default=None, pattern=r"^cachedContents/[a-z0-9-]+$")

    def parts(self) -> list[Part]:
        return [part for content in self.contents for part in content.parts]


class CountTokensRequest(Wire):
    contents: tuple[Content, ...] = Field(min_length=1)


class CachedContentRequest(Wire):
    model: str = Field(pattern=r"^models/[a-z0-9.-]+$")
    contents: tuple[Content, ...] = ()
    system_instruction: SystemInstruction | None = None
    ttl: Offset | None = None
    display_name: str | None = Field(default=None, max_length=128)


class UploadedFile(Wire):
    name: str | None = Field(default=None, pattern=r"^files/[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    display_name: str | None = Field(default=None, max_length=512)
    mime_type: str | None = None
    size_bytes: int | None = None


class UploadRequest(Wire):
    file: UploadedFile = UploadedFile()


def read(model: type[T], body: bytes) -> T:
    """Read a request; what is wrong with it is answered as Google does."""
    if len(body) > MOST_INLINE:
        raise RpcError(
            "INVALID_ARGUMENT",
            f"Request payload size exceeds the limit: {MOST_INLINE} bytes.",
        )
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            name, _, where = path.rpartition(".")[::-1]
            described = f"Unknown name \"{name}\" at '{where}': Cannot find field."
        else:
            described = f"Invalid value at '{path}': {first['msg']}"
        raise bad_field(path, described) from error
