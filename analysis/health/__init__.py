"""Signs of failure in records and training logs."""
