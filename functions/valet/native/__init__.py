"""Our own broker: configs, instances, authorizations, accounts, refresh, URL keys."""
