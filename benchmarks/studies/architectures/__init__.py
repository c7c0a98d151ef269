"""Studies of architectures: variants, gates, and the search for a better one."""
