"""Recordings that are one file: ZIP archives of a playlist, and plain media files."""
