"""What Gemini is asked, how its answers are read, and what they cost; no word is sent from here."""
