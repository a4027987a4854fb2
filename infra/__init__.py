"""Adapters: settings, database, stores, media, Temporal, Gemini, broker, telemetry."""
