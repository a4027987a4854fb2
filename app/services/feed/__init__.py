"""Events of feeds: store them, link them to highlights, and mark moments by them."""
