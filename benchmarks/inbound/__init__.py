"""How many events of 100ms the API receives, against bare FastAPI and asyncpg in the same run."""
