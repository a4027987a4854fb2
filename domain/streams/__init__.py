"""State of a stream, and the messages of StreamWorkflow."""
