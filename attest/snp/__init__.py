"""AMD SEV-SNP: how a report is laid out, who signs it, how new it is, whether it is genuine."""
