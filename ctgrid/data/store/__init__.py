"""Training stores: volumes in both resolutions, prepared once, read slice by slice."""

from ctgrid.data.store.store import Store, StoredVolume, StoreSettings, is_store

__all__ = ["Store", "StoreSettings", "StoredVolume", "is_store"]
