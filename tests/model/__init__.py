"""A model of how deliveries travel, small enough that every order of events can be tried."""
