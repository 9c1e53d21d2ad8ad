"""One file a place that keeps CARs, behind one small port."""
