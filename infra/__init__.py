"""The doors to the world: settings, database, stores, Temporal, telemetry, embedded servers."""
