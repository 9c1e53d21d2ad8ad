"""A bucket of any S3-compatible store as a target: keys, documents, the index, the heads; obstore only in `bucket`."""
