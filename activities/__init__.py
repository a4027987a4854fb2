"""The steps of a stream: each does I/O and holds no business rule."""
