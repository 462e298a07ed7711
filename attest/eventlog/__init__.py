"""Runtime measurement: event logs replayed into the registers that hardware or a TPM signed."""
