"""The key broker."""
