"""Ask a served generator for showers, and check them against ONNX Runtime.

python -m sample_models.ask http://127.0.0.1:8000 vae-clic-siw
"""

from __future__ import annotations

import sys

import numpy as np

from catalog.errors import CatalogError
from catalog.generate import make_inputs, open_session
from catalog.pull import pull
from catalog.testvectors import MODEL_FILE

ENERGIES_GEV = (5.0, 20.0, 50.0, 80.0)


def ask(url: str, ref: str) -> str:
    """Request showers over HTTP and compare them with the same file run here.

    Raises
    ------
    CatalogError
        The server's showers are not the ones ONNX Runtime gives.
    """
    import tritonclient.http as triton

    pulled = pull(ref)
    energies = np.array(ENERGIES_GEV)
    feed = make_inputs(pulled.card, energies, pulled.card.domain.particles[0], seed=1)
    inputs = []
    for name, value in feed.items():
        tensor = triton.InferInput(name, list(value.shape), "FP32")
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    with triton.InferenceServerClient(url.removeprefix("http://").rstrip("/")) as client:
        served = client.infer(pulled.name, inputs).as_numpy("showers")
    direct = open_session(pulled.folder / MODEL_FILE).run(["showers"], feed)[0]
    if served.shape != direct.shape or not np.allclose(served, direct, rtol=1e-5, atol=0):
        raise CatalogError(f"{url} gives other showers than ONNX Runtime does on the same file")
    same = "bit for bit" if np.array_equal(served, direct) else "within 1e-5"
    visible = ", ".join(
        f"{e:g} GeV -> {1000 * s:.0f} MeV"
        for e, s in zip(energies, served.sum((1, 2, 3)), strict=True)
    )
    count = f"{len(energies)} showers of {served.shape[1:]} cells"
    return f"{count}; visible: {visible}\nequal to ONNX Runtime {same}"


if __name__ == "__main__":
    try:
        print(ask(*sys.argv[1:3]))
    except CatalogError as exc:
        sys.exit(exc.message)
