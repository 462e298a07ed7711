"""Parts of known threats that no test of a single room shows."""
