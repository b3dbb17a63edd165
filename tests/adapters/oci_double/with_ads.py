"""What somebody does who has only Oracle's own `oracle-ads`: python -m ... URL FOLDER MODEL_ID.

Downloads a model into FOLDER/got, and registers FOLDER/theirs as a model of their own. In a
process of its own, because importing `ads` takes many seconds and changes how warnings are shown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.adapters.oci_double.place import COMPARTMENT, PROJECT


def main() -> None:
    url, folder, model_id = sys.argv[1:]
    import ads
    import oci
    from ads.model.datascience_model import DataScienceModel
    from ads.model.model_metadata import ModelTaxonomyMetadata

    config = oci.config.from_file()
    signer = oci.signer.Signer.from_config(config)
    ads.set_auth(
        config=config, signer=signer, client_kwargs={"service_endpoint": url, "timeout": (3, 60)}
    )
    theirs = DataScienceModel.from_id(model_id)
    theirs.download_artifact(str(Path(folder, "got")), force_overwrite=True)

    taxonomy = ModelTaxonomyMetadata()
    taxonomy["Framework"].value = "scikit-learn"
    schema = {
        "schema": [
            {"dtype": "float64", "feature_type": "Continuous", "name": "energy", "domain": {
                "values": "", "stats": {}, "constraints": []}, "required": True,
             "description": "of the beam", "order": 0},
        ],
        "version": "1.1",
    }  # fmt: skip
    model = (
        DataScienceModel()
        .with_compartment_id(COMPARTMENT)
        .with_project_id(PROJECT)
        .with_display_name("theirs")
        .with_description("made in a notebook")
        .with_freeform_tags(owner="somebody else")
        .with_defined_metadata_list(taxonomy)
        .with_input_schema(schema)
        .with_artifact(str(Path(folder, "theirs").resolve()))
        .create()
    )
    print(json.dumps({"name": theirs.display_name, "label": theirs.version_label, "id": model.id}))


if __name__ == "__main__":
    main()
