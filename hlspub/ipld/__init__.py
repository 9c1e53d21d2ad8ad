"""Bytes to blocks and back: CIDs, dag-pb, UnixFS, HAMT directories, CARs. Pure; see ARCHITECTURE.md."""
