"""How well moments of real games are found, on the films of `tools/footage`."""
