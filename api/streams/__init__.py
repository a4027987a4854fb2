"""Streams: routes, schemas and server-sent events."""
