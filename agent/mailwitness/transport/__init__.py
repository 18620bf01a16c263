"""How the agent gets to a host and its evidence back, whatever carries the bytes."""
