"""Measurements of the product; each states the machine it ran on."""
