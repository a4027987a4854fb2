"""The whole analyzer on a film, window after window, as a stream's workflow runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.analysis.chunk_analyzer import ChunkAnalyzer, GeminiAnalyzer
from activities.analysis.gemini import GeminiAnalysis
from activities.analysis.gemini_answers import GeminiResources, GeminiSpending
from activities.analysis.local import LocalAnalysis
from app.services.profiles import PinnedProfiles
from domain.analysis.gemini.budget import GateLimits, TenantBudget, TenantSpending
from domain.analysis.gemini.pricing import TokenUsage
from domain.analysis.gemini.prompts import QueryBuilder
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult, GeminiReport
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import Window
from domain.profiles.catalog import PinnedProfile
from domain.profiles.model import GameProfile
from infra.db.engine import DatabaseUnavailableError
from infra.gemini import GeminiClient, GeminiQuota, QuotaLimits
from infra.media.pool import MediaPool
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from tests.factories.scenes import STREAM, TENANT, Scene

ATTEMPTS: Final = 5
GENEROUS: Final = GateLimits(dollars_per_hour=100.0, video_share=1.0, sampled_share=0.0)
PROFILE: Final = ProfileStore().catalog.profiles["soccer"]


class OneProfile(PinnedProfiles):
    """Stands in for the pinned profiles: the same for every stream, or the database is down."""

    def __init__(self, profile: GameProfile) -> None:
        unused: Any = None
        super().__init__(unused, ProfileStore())
        self.profile = profile
        self.away = False

    async def find(self, *_key: object) -> PinnedProfile:
        if self.away:
            raise DatabaseUnavailableError
        return PinnedProfile(profile=self.profile)


class Purse:
    """Stands in for the metered spending: each answer counts once, under its key."""

    def __init__(self, budget: TenantBudget) -> None:
        self._budget = budget
        self.entered: dict[str, float] = {}

    async def record(
        self, _tenant_id: UUID, _stream_id: UUID, *, key: str, tokens: TokenUsage, dollars: float
    ) -> None:
        assert tokens.total > 0 or dollars == 0
        self.entered.setdefault(key, dollars)

    async def remaining_dollars(self, _tenant_id: UUID) -> float:
        spent = sum(self.entered.values())
        return self._budget.remaining_dollars(TenantSpending(hour=spent, month=spent))


class Stage:
    """Runs the activity on a scene, again where it asks for it, as Temporal does.

    Attributes:
        delays: the seconds that each failed attempt asked to wait.
        reports: what each request was told to have cost.
    """

    def __init__(
        self,
        scene: Scene,
        pool: MediaPool,
        client: GeminiClient,
        *,
        limits: GateLimits = GENEROUS,
        spending: Purse | GeminiSpending | None = None,
        tenant_id: UUID = TENANT,
        by_profile: Mapping[str, QueryBuilder] | None = None,
    ) -> None:
        settings = Settings()
        self.scene = scene
        chosen: Any = spending or Purse(TenantBudget())
        self.spending = chosen
        self._tenant_id = tenant_id
        self.delays: list[float] = []
        self.reports: list[GeminiReport] = []
        local = LocalAnalysis(segments=scene.store, pool=pool)
        self._local = local
        resources = GeminiResources(
            client=client,
            quota=GeminiQuota(QuotaLimits()),
            spending=self.spending,
            segments=scene.store,
            pool=pool,
        )
        questions = QueryBuilder(model=settings.gemini_model)
        self.questions = questions
        self.profiles = OneProfile(PROFILE)
        self.analysis = GeminiAnalysis(
            local=local,
            chunk_analyzer=ChunkAnalyzer(
                GeminiAnalyzer(resources, questions, by_profile), self.spending, limits
            ),
            segments=scene.store,
            profiles=self.profiles,
        )

    async def analyze_all(
        self, windows: Sequence[Window] | None = None
    ) -> list[HighlightCandidate]:
        """Analyse the whole scene; every result is checked against its watermark."""
        found: list[HighlightCandidate] = []
        watermark = 0.0
        shown = self.scene.windows() if windows is None else windows
        for window in shown:
            last = window is shown[-1]
            result = await self.analyze(window, last=last)
            assert all(each.peak >= watermark for each in result.candidates)
            assert result.watermark >= watermark
            watermark = result.watermark
            found += result.candidates
        return found

    async def analyze(self, *windows: Window, last: bool = False) -> AnalyzeWindowResult:
        """Analyse windows, again after each failure that is to be retried."""
        request = request_of(windows, last=last, tenant_id=self._tenant_id)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = await self.attempt(request, attempt)
            except ApplicationError as error:
                if error.non_retryable or error.next_retry_delay is None:
                    raise
                self.delays.append(error.next_retry_delay.total_seconds())
                continue
            if result.gemini is not None:
                self.reports.append(result.gemini)
            return result
        raise AssertionError("the window was given up")

    async def attempt(self, request: AnalyzeWindowInput, number: int) -> AnalyzeWindowResult:
        """Run the activity once, as its attempt of that number."""
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info, attempt=number, start_to_close_timeout=timedelta(seconds=120)
        )
        return await environment.run(self.analysis.analyze_window, request)

    async def local_alone(self) -> list[HighlightCandidate]:
        """What the local analyzer says of the scene."""
        windows = self.scene.windows()
        result = await ActivityEnvironment().run(
            self._local.analyze_window, request_of(windows, last=True)
        )
        return list(result.candidates)

    def report(self) -> GeminiReport:
        """The sum of all reports."""
        total = GeminiReport()
        for each in self.reports:
            total = total.plus(each)
        return total


def request_of(
    windows: Sequence[Window], *, last: bool, tenant_id: UUID = TENANT
) -> AnalyzeWindowInput:
    """Ask for windows as a stream's workflow does."""
    first = windows[0].index
    return AnalyzeWindowInput(
        tenant_id=tenant_id,
        stream_id=STREAM,
        windows=tuple(windows),
        previous_window=first - 1 if first else None,
        profile_id="soccer",
        profile_version="1",
        last=last,
    )
