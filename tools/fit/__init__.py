"""Fits the weights of `domain/analysis/fusion.json` on films of real games."""
