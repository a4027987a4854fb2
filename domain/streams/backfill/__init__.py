"""Filling the gaps of a stream from its recording."""
