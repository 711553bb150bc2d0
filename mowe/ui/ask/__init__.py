"""The Ask tab: questions about recordings, and what answered them."""
