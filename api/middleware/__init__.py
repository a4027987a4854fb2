"""What every request passes through, whatever its route."""
