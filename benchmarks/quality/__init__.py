"""How well moments are found, against what simple methods find on the same videos."""
