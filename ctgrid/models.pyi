from .stages.networks.dit import DiT as DiT
from .stages.networks.dit import build_dit as build_dit
from .stages.networks.positions import identify_table as identify_table
from .stages.networks.positions import position_table as position_table
from .stages.weights.load import load_dit as load_dit
