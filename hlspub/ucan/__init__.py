"""PURE: UCAN 0.9.1 as w3up speaks it: principals, delegations, invocations, messages, receipts, the sharded index."""
