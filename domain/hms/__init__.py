"""100ms: its events, who may send them, and their effect on streams."""
