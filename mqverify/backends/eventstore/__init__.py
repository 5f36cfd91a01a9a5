"""Event Store (KurrentDB), through esdbclient. This version knows its settings and does not run it yet."""
