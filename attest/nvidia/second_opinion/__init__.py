"""What NVIDIA's own software says of the same evidence: its remote service, or its local verifier.

An opinion can refuse what this verifier accepts. It can never admit what this verifier refuses.
"""
