"""The `highlights` command, and the wiring of settings to adapters and services."""
