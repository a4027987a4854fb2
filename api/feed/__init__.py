"""Events of feeds, feed clocks, and the highlights of subjects."""
