"""From signals of a segment to candidates."""
