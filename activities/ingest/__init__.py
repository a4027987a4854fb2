"""Ingest: downloads live HLS media to the segment store."""

from activities.ingest.activity import IngestActivities

__all__ = ["IngestActivities"]
