"""Programs for developers and agents, on the public API: an MCP server, and a webhook forwarder."""
