"""The `attest` command: one file a subcommand."""
