"""The packages that a Django site would otherwise pick, measured beside this library."""
