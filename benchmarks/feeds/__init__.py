"""What a feed of scores and odds adds to the highlights of scripted matches."""
