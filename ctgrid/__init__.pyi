from .base.errors import CtgridError as CtgridError
from .base.errors import CtgridWarning as CtgridWarning
from .data.store.prepare import prepare as prepare
from .methods.denoising.methods import denoise as denoise
from .methods.synthesis.pipeline import synthesize as synthesize
from .methods.training.run import train as train
from .runs.ablation.run import run_ablation as run_ablation
from .runs.evaluation.ceiling import codec_ceiling as codec_ceiling
from .runs.evaluation.denoising import evaluate_denoising as evaluate_denoising
from .runs.evaluation.fidelity.evaluate import evaluate_volumes as evaluate_volumes
from .runs.evaluation.nodule_trial import evaluate_nodules as evaluate_nodules
from .runs.evaluation.super_resolution import evaluate_super_resolution as evaluate_super_resolution
from .runs.report.html.report import write_report as write_report
from .runs.report.preview import save_preview as save_preview
from .runs.report.run import make_report as make_report
from .runs.report.run import preview_volumes as preview_volumes
from .runs.report.view import view as view
from .runs.scans.convert import convert_scan as convert_scan
from .runs.scans.dose import lower_dose as lower_dose
from .runs.scans.dose_set import lower_doses as lower_doses
from .runs.scans.phantoms import make_phantoms as make_phantoms
from .runs.stores.prepare import prepare_scans as prepare_scans
from .runs.training.run import train_model as train_model
from .scan.noise import estimate_noise as estimate_noise
from .scan.volume import Volume as Volume

__version__: str
