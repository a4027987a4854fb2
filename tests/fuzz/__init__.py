"""Untrusted input, mutated: targets, their seeds, and the driver of `make fuzz`."""
