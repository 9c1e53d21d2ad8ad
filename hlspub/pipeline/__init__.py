"""Orchestration, one file a stage: intake, deliver, publish, reconcile."""
