"""For authors of backends: whether a backend keeps what mqverify asks of one. Start with `conformance`."""

from mqverify.testing.suite import Check, Report, conformance

__all__ = ["Check", "Report", "conformance"]
