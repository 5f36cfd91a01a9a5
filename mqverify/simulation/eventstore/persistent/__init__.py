"""Persistent subscriptions: one subscription as a state machine without I/O, and the service that feeds it."""
