"""Shipped game profiles, read from YAML."""
