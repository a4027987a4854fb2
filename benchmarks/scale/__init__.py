"""What 10 to 10,000 concurrent streams take, calculated from what was measured of a few."""
