"""Logs, metrics, the clock and systemd's notify socket."""
