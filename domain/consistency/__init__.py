"""Whether what is stored of a stream agrees: rows, objects of both stores, workflows and usage."""
