"""Commands of the `highlights` program for operators."""
