"""Reads what an audit compares."""
