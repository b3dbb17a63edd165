"""What a model's input means: detector, particles, energies, geometry, units."""

from catalog.domain.detector import Detector, Slab, Stack
from catalog.domain.domain import Domain, Simulator, TensorSpec
from catalog.domain.vocabulary import detector_names, load_detector

__all__ = [
    "Detector",
    "Domain",
    "Simulator",
    "Slab",
    "Stack",
    "TensorSpec",
    "detector_names",
    "load_detector",
]
