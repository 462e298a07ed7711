"""Intel TDX: how a quote is laid out, who signs it, how new the platform is, whether it is genuine."""
