"""Problem documents (RFC 9457): their types, handlers and reference page."""
