"""Speed and memory of the shipped mixture, beside what one would use instead."""
