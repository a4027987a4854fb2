"""The doors, real."""
