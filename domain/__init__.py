"""The product's rules, pure: no I/O, no clock, no Temporal, no SQLAlchemy."""
