"""Answers that are kept: in this process, in a store that several share, and how both learn what a write made old.

`mesh.layers.cache` is the layer of the stack that uses it.
"""

from mesh.cache.guarded import Found, Stamp, Store
from mesh.cache.keeper import Keeper

__all__ = ["Found", "Keeper", "Stamp", "Store"]
