"""The console: its files, and the policy under which browsers run them."""
