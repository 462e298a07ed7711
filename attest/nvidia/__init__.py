"""NVIDIA GPUs and NVSwitches: SPDM reports, device chains, reference manifests."""
