"""How wide an electromagnetic shower is: core and tail of Grindhammer-Peters.

Source: hep-ex/0001020, sections 2.2 (homogeneous) and 3.3 (sampling). At scaled depth tau

    f(r) = p 2 r Rc^2 / (r^2 + Rc^2)^2 + (1 - p) 2 r Rt^2 / (r^2 + Rt^2)^2,   r in R_M.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.simulate.medium import Medium

Array = NDArray[np.float64]
_MAX_EXPONENT = 50.0  # keeps exp() finite far behind the shower, where no energy is


def radii(medium: Medium, tau: Array, energy: Array) -> tuple[Array, Array, Array]:
    """Core radius, tail radius (both R_M) and weight of the core.

    Parameters
    ----------
    tau : (N, P) depth over the shower's mean depth, scaled so that 1 is its maximum
    energy : (N,) GeV
    """
    ln_e = np.log(energy)[:, None]
    z = medium.z
    core = 0.0251 + 0.00319 * ln_e + (0.1162 - 0.000381 * z) * tau
    growth = np.minimum((0.3585 + 0.0421 * ln_e) * (tau - 0.645), _MAX_EXPONENT)
    tail = (0.659 - 0.00309 * z) * (np.exp(-2.59 * (tau - 0.645)) + np.exp(growth))
    step = (0.401 + 0.00187 * z - tau) / (1.313 - 0.0686 * ln_e)
    weight = (2.632 - 0.00094 * z) * np.exp(step - np.exp(np.minimum(step, _MAX_EXPONENT)))
    return np.maximum(core, 1e-3), np.maximum(tail, 1e-3), np.clip(weight, 0.0, 1.0)
