"""The whole product, as its user runs it."""
