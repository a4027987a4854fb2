"""Feeds: decoding of their messages, and the queue that they come from."""
