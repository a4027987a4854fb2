"""Films of real games with their true moments, made on this machine and kept out of it."""
