"""Which encoders are chosen: for one answer, for several clips, for a kind of recording."""
