"""Exports: the files that a tenant asks for of a highlight, a clip or a span of a stream."""
