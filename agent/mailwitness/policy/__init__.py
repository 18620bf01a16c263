"""What is asked of a mail host, by whom, and the engine that asks it."""
