"""Adapters of public feeds: messages in, feed events out. Pure; each remembers its match."""
