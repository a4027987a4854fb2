"""HLS to segment store: following a live playlist and keeping what it gives."""

from activities.ingest.activity import IngestActivities

__all__ = ["IngestActivities"]
