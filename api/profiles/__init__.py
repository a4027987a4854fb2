"""Game profiles and a tenant's overrides."""
