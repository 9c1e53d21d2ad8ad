"""Who is told of publications: one file a kind of hook."""
