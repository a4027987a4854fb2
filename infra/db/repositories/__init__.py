"""All SQL of the product: functions that take a session of a tenant and never commit.

Each names the tenant in its query too, although row-level security would already do: a mistake
then has to be made twice.
"""
