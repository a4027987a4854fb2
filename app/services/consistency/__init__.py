"""Whether what is stored of streams agrees."""
