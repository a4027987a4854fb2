"""Orchestration only: what happens when, and what is retried."""
