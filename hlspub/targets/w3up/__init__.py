"""Spaces of services that speak w3up (UCAN 0.9): the flow; what is signed, and how, is `hlspub.ucan`."""
