"""`kbs`: one file a command; each loads its own room only."""
