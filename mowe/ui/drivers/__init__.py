"""The Drivers tab: what in a recording drives the router."""
