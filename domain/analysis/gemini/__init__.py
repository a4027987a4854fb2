"""What to ask Gemini, what its answers mean, and what may be spent."""
