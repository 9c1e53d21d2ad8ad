"""CAR files on disk: written once, synced, adopted, reclaimed."""
