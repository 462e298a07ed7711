"""Speed as a ratio: what verification costs over the cryptography it cannot do without."""
