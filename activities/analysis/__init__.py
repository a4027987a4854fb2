"""Analyzers: each turns windows of a stream into candidates."""
