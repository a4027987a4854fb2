"""100ms: its events, who may send them, and what they do to a stream."""
