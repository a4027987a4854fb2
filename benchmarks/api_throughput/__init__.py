"""Throughput and latency of the API, against the simplest server with the same responses."""
