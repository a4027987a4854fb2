"""API keys: routes and schemas."""
