"""Tools of MCP servers: a process or an address that offers them, and the verb that adds it."""
