"""Ingest rules: which segments of a live playlist are new, and how they form windows."""
