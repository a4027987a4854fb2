"""Segments, gaps and the media timeline."""
