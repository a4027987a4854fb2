"""Publication policies, and reviews of highlights."""
