"""Azure confidential VMs: a paravisor with a virtual TPM, inside an SNP or TDX guest."""
