"""What in a recording drives the router, and what an encoder's share likes."""
