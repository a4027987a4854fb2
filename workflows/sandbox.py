"""The workflow sandbox, with the modules that pass through it because they are pure."""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


def workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandboxed runner of all workers and replayers.

    Pydantic, the domain and the activities' interfaces pass through: they are pure, and reloading
    them for every workflow would cost most of a worker's CPU.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(
            "activities", "annotated_types", "domain", "pydantic", "pydantic_core", "rapidfuzz"
        )
    )
