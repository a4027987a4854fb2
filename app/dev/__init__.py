"""The stack that `highlights dev` runs on one machine: PostgreSQL, Temporal, API and worker."""
