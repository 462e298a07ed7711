"""From which kind of network a request came: all that a row says of an address, for rows are kept for ever."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def network_class(address: str) -> str:
    """loopback, private, public; unknown for what is no address. Behind a proxy it is the proxy's."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return "loopback"
    return "public" if parsed.is_global else "private"
