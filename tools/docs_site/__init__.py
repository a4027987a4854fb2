"""The documentation site: hooks of its build, and the API reference."""
