"""Which analyzer a worker has: the local one, with Gemini beside it where there is a key."""

from __future__ import annotations

from activities.analysis.chunk_analyzer import ChunkAnalyzer, GeminiAnalyzer
from activities.analysis.gemini import GeminiAnalysis
from activities.analysis.gemini_answers import GeminiResources, GeminiSpending
from activities.analysis.local import LocalAnalysis
from activities.interfaces import Analysis
from app.container import Doors
from app.services.profiles import PinnedProfiles
from domain.analysis.gemini.budget import GateLimits, TenantBudget
from domain.analysis.gemini.pricing import GeminiModelChoice, bare_name
from domain.analysis.gemini.prompts import QueryBuilder
from infra.settings import Settings


def analyzer(settings: Settings, doors: Doors) -> Analysis:
    """Return the analyzer that the settings ask for."""
    local = LocalAnalysis(segments=doors.segments, pool=doors.media)
    if doors.gemini is None:
        return local
    spending = GeminiSpending(
        doors.database,
        TenantBudget(
            dollars_per_hour=settings.gemini_dollars_per_tenant_hour,
            dollars_per_month=settings.gemini_dollars_per_tenant_month,
        ),
    )
    gemini_analyzer = GeminiAnalyzer(
        GeminiResources(
            client=doors.gemini,
            quota=doors.gemini_quota,
            spending=spending,
            segments=doors.segments,
            pool=doors.media,
            prices=settings.gemini_price_table(),
        ),
        _queries(settings, GeminiModelChoice()),
        {name: _queries(settings, each) for name, each in settings.gemini_by_profile.items()},
    )
    limits = GateLimits(
        dollars_per_hour=settings.gemini_dollars_per_stream_hour,
        video_share=settings.gemini_video_share,
    )
    return GeminiAnalysis(
        local=local,
        chunk_analyzer=ChunkAnalyzer(gemini_analyzer, spending, limits),
        segments=doors.segments,
        profiles=PinnedProfiles(doors.database, doors.profiles),
        shipped=doors.profiles,
    )


def _queries(settings: Settings, choice: GeminiModelChoice) -> QueryBuilder:
    general = settings.gemini_temperature
    return QueryBuilder(
        model=bare_name(choice.model or settings.gemini_model),
        temperature=general if choice.temperature is None else choice.temperature,
        language=choice.language or settings.gemini_language,
    )
