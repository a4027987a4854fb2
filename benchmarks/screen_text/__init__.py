"""What the screen channel reads on films of real games, compared with the games' own scores."""
