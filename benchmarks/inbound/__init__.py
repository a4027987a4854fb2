"""Throughput of 100ms events against bare FastAPI and asyncpg in the same run."""
