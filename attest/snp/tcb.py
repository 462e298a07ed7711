"""Products and their TCB_VERSION layouts (AMD 56860, TCB_VERSION; AMD 57230, product names).

A TCB is compared component by component, under the layout of its product; never as one integer.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Product = Literal["milan", "genoa", "turin"]
PRODUCTS: tuple[Product, ...] = ("milan", "genoa", "turin")

# Component → byte index.
_CLASSIC = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_TURIN = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}
LAYOUTS: dict[Product, dict[str, int]] = {"milan": _CLASSIC, "genoa": _CLASSIC, "turin": _TURIN}

SPL_OIDS = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8", "fmc": "3.9"}
"""Component → tail of the leaf extension's OID under 1.3.6.1.4.1.3704.1."""


class Tcb(NamedTuple):
    """Security versions by component, in the order of the product's layout."""

    product: Product
    components: dict[str, int]

    @classmethod
    def decode(cls, raw: bytes, product: Product) -> Tcb:
        """raw: the 8 bytes of a TCB_VERSION."""
        return cls(product, {name: raw[index] for name, index in LAYOUTS[product].items()})

    def at_most(self, other: Tcb) -> bool:
        """Whether no component is above the other's."""
        return all(value <= other.components[name] for name, value in self.components.items())

    def text(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.components.items()}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.components.items())


def product_of(family: int, model: int) -> Product | None:
    """The product line of a CPUID family and model, both combined with their extensions.

    None for processors without a root we pin (Venice among them). Bergamo and Siena (0xA0..0xAF) share
    Genoa's roots.
    """
    if family == 0x19:
        if model <= 0x0F:
            return "milan"
        if 0x10 <= model <= 0x1F or 0xA0 <= model <= 0xAF:
            return "genoa"
    if family == 0x1A and model <= 0x11:
        return "turin"
    return None
