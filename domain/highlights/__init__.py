"""Candidates, their evidence and how they become highlights."""
