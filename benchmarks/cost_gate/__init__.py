"""Savings and losses of the cost gate: gated against ungated, on scripted matches."""
