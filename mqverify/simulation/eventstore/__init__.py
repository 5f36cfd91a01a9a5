"""A simulated Event Store (KurrentDB) node, and a look-alike of esdbclient that talks to it."""
