"""Signing and sending of webhooks."""
