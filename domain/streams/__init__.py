"""The state of one stream, and the messages of its workflow."""
