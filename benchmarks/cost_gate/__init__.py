"""What the cost gate saves, and what it loses: gated against ungated, over scripted matches."""
