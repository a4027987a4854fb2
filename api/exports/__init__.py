"""Exports: routes and schemas."""
