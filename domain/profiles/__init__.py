"""Game profiles: documents, overrides and matching by name."""
