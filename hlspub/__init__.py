"""hlspub: publish a live HLS directory to content-addressed storage."""

__version__ = "0.1.0"
