"""Events for tenants and their delivery."""
