"""Builders of domain values, rows and media files for tests; every argument has a default."""
