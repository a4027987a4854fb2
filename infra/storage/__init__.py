"""Stores of segments and clips."""
