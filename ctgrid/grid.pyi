from .scan.grid import downsample as downsample
from .scan.grid import from_grid as from_grid
from .scan.grid import gray_to_rgb as gray_to_rgb
from .scan.grid import to_grid as to_grid
