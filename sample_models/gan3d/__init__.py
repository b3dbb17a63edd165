"""3DGAN (Khattak et al., 10.1140/epjc/s10052-022-10258-4; github.com/svalleco/3Dgan) in PyTorch.

Layers, losses, their weights, optimiser and conditioning of both versions are the reference's; the
reference trains 30 to 120 epochs of 100,000 showers, so that how far a version of ours was trained
is in its card, and must be read with its validation.
"""

from sample_models.gan3d.family import FAMILY
from sample_models.gan3d.model import Gan3d, native_config

__all__ = ["FAMILY", "Gan3d", "native_config"]
