"""Real servers that we start ourselves when none is configured: Temporal and PostgreSQL."""
