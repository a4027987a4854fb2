"""Doubles of other systems, scripted activities, and servers that a test can start and stop."""
