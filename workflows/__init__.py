"""Temporal workflows: one per file. Orchestration and retries only, no business rules."""
