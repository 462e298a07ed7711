"""Where endorsements come from: the vendors' services, a cache on disk, a signed file. All of it is bytes; verify decides."""
