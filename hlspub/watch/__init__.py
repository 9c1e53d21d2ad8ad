"""Which file is finished: watchdog's hints, settling, rescans."""
