"""Endorsements that neither the guest nor the operator's folder has, asked of the vendors.

A service that anybody may ask must not be made to ask others without end (T-DOS): nobody is asked before a guest
answered its challenge, for the devices of a machine before its CPU is found genuine, or beyond a budget. What the
disk holds is served to all, and waits for nobody.
"""

from kbs.fetching.fetcher import Fetch, Fetcher, NoFetcher, VendorFetcher
from kbs.fetching.verifying import UNASKED, verify_fetching

__all__ = ["UNASKED", "Fetch", "Fetcher", "NoFetcher", "VendorFetcher", "verify_fetching"]
