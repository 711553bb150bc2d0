"""What a routing is worth: answers under another routing, and after small changes."""
