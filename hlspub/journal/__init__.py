"""The SQLite database that remembers every decision; the only SQL."""
