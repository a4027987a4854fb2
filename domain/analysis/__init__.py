"""Analysis rules: from measured signals to highlight candidates."""
