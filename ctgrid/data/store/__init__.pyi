from .settings import StoreSettings as StoreSettings
from .store import Store as Store
from .store import StoredVolume as StoredVolume
from .store import is_store as is_store
