"""Use cases: what the API, the workers and the commands do with domain and adapters."""
