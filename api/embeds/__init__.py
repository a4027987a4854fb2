"""Embedded players: their page, oEmbed, counted plays, and who may embed them."""
