"""Clips: routes and schemas."""
