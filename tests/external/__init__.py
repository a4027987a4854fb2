"""Our API and media, tried with programs that others wrote; `make external` runs all of it."""
