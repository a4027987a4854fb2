"""Keys, plans, usage, audit and retention of tenants."""
