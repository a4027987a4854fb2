"""Renditions of one source: all that need an encoder come from one ffmpeg, which decodes once."""
