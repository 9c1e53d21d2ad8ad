"""Playlists, read purely: scan, references, classes, consistency, media types. See ARCHITECTURE.md."""
