"""The configuration: models, loading, credentials, errors in full."""
