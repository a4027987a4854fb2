"""Reading of text on the screen, in a media child process."""
