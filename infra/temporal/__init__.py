"""The Temporal client and its schedules."""
