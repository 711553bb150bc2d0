"""What the mixture is worth: arms that differ in one thing, trained alike and compared."""
