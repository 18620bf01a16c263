"""The history: every run kept, its evidence content-addressed, in SQLite or PostgreSQL."""
