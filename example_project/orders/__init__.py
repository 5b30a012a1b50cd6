"""The service that takes orders, shows the shop, and follows what becomes of an order."""
