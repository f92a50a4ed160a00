from .methods.denoising.methods import METHODS as METHODS
from .methods.denoising.methods import denoise as denoise
from .methods.denoising.methods import load_method as load_method
from .scan.noise import estimate_noise as estimate_noise
from .scan.noise import estimate_noise_per_slice as estimate_noise_per_slice
