"""Backfill: filling the gaps of a stream from its recording."""
