"""Throughput and latency of the API, against the barest one that could give the same answers."""
