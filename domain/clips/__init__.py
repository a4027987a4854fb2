"""Clips of highlights: planning and state."""
