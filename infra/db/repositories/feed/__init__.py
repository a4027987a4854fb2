"""Events of feeds, their links to highlights, and feed clocks."""
