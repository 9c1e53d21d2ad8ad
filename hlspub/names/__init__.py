"""Where names live: the keys that sign them, and the services that carry their records to readers."""
