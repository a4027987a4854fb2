"""A live HLS origin, the scripted match and the demonstration that uses the public API only."""
