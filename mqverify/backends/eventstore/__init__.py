"""Event Store (KurrentDB) through esdbclient: settings, the adapter on its API, provisioning and fresh reading."""
