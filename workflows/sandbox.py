"""The sandbox of workflow code: what it may import as it is, because it is free of side effects."""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the runner of all our workers and replayers.

    Pydantic, the domain and the activities' interfaces pass through: they are pure, and loading
    them anew for every workflow would cost most of a worker's CPU.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "activities", "annotated_types", "domain", "pydantic", "pydantic_core", "rapidfuzz"
        )
    )
