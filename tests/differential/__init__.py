"""Our verdicts beside those of other projects' verifiers, on real evidence and mutations of it."""
