"""Following a live playlist: which segments are new, and how they form windows."""
