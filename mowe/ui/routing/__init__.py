"""The Routing tab: where clips are sent, and what every encoder is worth to an answer."""
