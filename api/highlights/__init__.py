"""Highlights: lists, search, similar moments and feedback."""
