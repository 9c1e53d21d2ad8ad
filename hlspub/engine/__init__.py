"""The stream's state machines, pure and tabled: session, readiness, publication, schedule."""
