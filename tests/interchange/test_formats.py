"""Every format: complete or absent, never overwriting, valid in the other catalog's own terms."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.errors import CatalogError, UsageError
from catalog.interchange import FORMATS, export_version
from catalog.interchange.words import named_digest
from catalog.pull import Pulled, read_folder
from tests.interchange.versions import TEXT, files, rich_folder, with_external_weights
from tests.toys import generator_folder


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    folder = rich_folder(tmp_path_factory.mktemp("versions") / "toy")
    return read_folder(with_external_weights(folder))


@pytest.fixture(scope="module")
def exported(version: Pulled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("exported")
    for name in FORMATS:
        export_version(name, version, place / name, uri="https://example.org/toy")
    return place


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_version_gives_the_same_bytes(
    tmp_path: Path, version: Pulled, exported: Path, name: str
) -> None:
    export_version(name, version, tmp_path / "again", uri="https://example.org/toy")
    assert files(tmp_path / "again") == files(exported / name)


@pytest.mark.parametrize("name", FORMATS)
def test_a_card_of_only_what_is_required_is_enough(tmp_path: Path, name: str) -> None:
    export_version(name, read_folder(generator_folder(tmp_path / "toy")), tmp_path / "out")
    assert files(tmp_path / "out")


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_overwritten_and_nothing_is_left_behind(
    tmp_path: Path, version: Pulled, name: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export_version(name, version, tmp_path / "out")
    assert files(tmp_path) == {"out/mine.txt": b"mine"}


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    pulled = read_folder(rich_folder(tmp_path / "toy"))
    (tmp_path / "toy" / "README.version.md").write_text("in the way")
    with pytest.raises(CatalogError, match=r"README\.version\.md"):
        export_version("huggingface", pulled, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_an_unknown_format_is_named_with_the_known_ones(tmp_path: Path, version: Pulled) -> None:
    with pytest.raises(UsageError) as caught:
        export_version("docx", version, tmp_path / "out")
    assert all(name in caught.value.hint for name in FORMATS)


def test_the_bill_of_materials_is_valid_cyclonedx_with_its_energy(exported: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (exported / "cyclonedx" / "bom.cdx.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace("kWh", "MWh"))
    card = json.loads(text)["metadata"]["component"]["modelCard"]
    (energy,) = card["considerations"]["environmentalConsiderations"]["energyConsumptions"]
    assert energy["activity"] == "fine-tuning"
    assert energy["activityEnergyCost"] == {"value": 1.25, "unit": "kWh"}
    assert "co2CostEquivalent" not in energy, "no card says it"


def test_every_file_of_the_version_is_in_the_bill_of_materials(
    version: Pulled, exported: Path
) -> None:
    document = json.loads((exported / "cyclonedx" / "bom.cdx.json").read_text(encoding="utf-8"))
    listed = {item["name"]: item["hashes"][0]["content"] for item in document["components"]}
    assert set(listed) == set(files(version.folder))


# The terms of release 0.1.0; a typing error would silently become a term of nobody.
FAIR4ML = {
    "MLModel", "MLModelEvaluation", "evaluationDataset", "evaluationMetrics", "evaluationResults",
    "fineTunedFrom", "hasEvaluation", "intendedUse", "mlTask", "modelCategory", "trainedOn",
}  # fmt: skip


def test_fair4ml_expands_without_a_network_to_terms_that_exist(exported: Path) -> None:
    from pyld import jsonld

    def refuse(url: str, options: dict[str, Any]) -> None:
        raise AssertionError(f"asked the network for {url}")

    document = json.loads((exported / "fair4ml" / "fair4ml.jsonld").read_text(encoding="utf-8"))
    (model,) = jsonld.expand(document, {"documentLoader": refuse})
    text = json.dumps(model)
    ours = {part.partition('"')[0] for part in text.split("https://w3id.org/fair4ml#")[1:]}
    assert ours == FAIR4ML
    assert model["http://schema.org/abstract"] == [{"@value": TEXT}]
    (parent,) = model["https://w3id.org/fair4ml#fineTunedFrom"]
    assert parent["@id"] == named_digest("sha256:" + "ab" * 32)
    assert len(jsonld.to_rdf(document, {"documentLoader": refuse})["@default"]) > 20


def test_a_digest_is_named_as_rfc_6920_does() -> None:
    """The example of its section 8.1: "Hello World!"."""
    digest = "sha256:7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"
    assert named_digest(digest) == "ni:///sha-256;f4OxZX_x_FO5LcGBSKHWXfwtSx-j1ncoSt3SABJtkGk"


# kubeflow/model-registry, api/openapi/catalog.yaml: CatalogModel, its artifacts, MetadataValue.
# Their loader is strict, so a key beyond these fails the source.
TEXTS = {"name", "provider", "description", "readme", "license", "licenseLink", "libraryName"}
VALUES = {
    "MetadataStringValue": ("string_value", str),
    "MetadataDoubleValue": ("double_value", float),
    "MetadataBoolValue": ("bool_value", bool),
}


def check_properties(properties: dict[str, Any]) -> None:
    for value in properties.values():
        key, kind = VALUES[value["metadataType"]]
        assert set(value) == {"metadataType", key}
        assert type(value[key]) is kind


def test_the_kubeflow_source_has_the_fields_of_its_api_and_no_others(exported: Path) -> None:
    place = exported / "kubeflow"
    (source,) = yaml.safe_load((place / "sources.yaml").read_text(encoding="utf-8"))["catalogs"]
    assert source["type"] == "yaml"
    text = (place / source["properties"]["yamlCatalogPath"]).read_text(encoding="utf-8")
    catalog = yaml.safe_load(text)
    assert set(catalog) == {"source", "models"}
    (model,) = catalog["models"]
    assert set(model) == TEXTS | {"tasks", "customProperties", "artifacts"}
    assert all(type(model[key]) is str for key in TEXTS)
    assert model["description"] == TEXT
    check_properties(model["customProperties"])
    assert model["customProperties"]["energy_low_gev"]["double_value"] == 1.0
    one, two = model["artifacts"]
    assert set(one) == {"artifactType", "uri", "customProperties"}
    assert (one["artifactType"], one["uri"]) == ("model-artifact", "https://example.org/toy")
    assert set(two) == {"artifactType", "metricsType", "customProperties"}
    assert (two["artifactType"], two["metricsType"]) == ("metrics-artifact", "accuracy-metrics")
    check_properties(one["customProperties"])
    check_properties(two["customProperties"])
    assert two["customProperties"]["w1_geomean"]["double_value"] == 0.02


def test_triton_reads_the_configuration_as_the_card_means_it(
    version: Pulled, exported: Path
) -> None:
    from google.protobuf import text_format

    # By its path: the package would import grpc, which nothing else here needs.
    home = Path(str(importlib.util.find_spec("tritonclient").origin)).parent  # type: ignore[union-attr]
    spec = importlib.util.spec_from_file_location(
        "model_config_pb2", home / "grpc" / "model_config_pb2.py"
    )
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    place = exported / "triton" / "toy"
    config = text_format.Parse((place / "config.pbtxt").read_text(), module.ModelConfig())
    assert (config.name, config.platform) == ("toy", "onnxruntime_onnx")
    for tensors, specs in (
        (config.input, version.card.inputs),
        (config.output, version.card.outputs),
    ):
        assert [(t.name, tuple(t.dims)) for t in tensors] == [(s.name, s.shape) for s in specs]
        assert {t.data_type for t in tensors} == {module.TYPE_FP32}
    assert config.parameters["digest"].string_value == version.digest


def test_the_model_in_the_triton_repository_runs_with_its_weights(exported: Path) -> None:
    import onnxruntime

    place = exported / "triton" / "toy" / "1"
    assert set(files(place)) == {"model.onnx", "weights.data"}
    session = onnxruntime.InferenceSession(place / "model.onnx")
    assert [item.name for item in session.get_inputs()] == ["noise", "energy_gev"]


def test_the_hub_reads_the_metadata_and_the_results(exported: Path) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(exported / "huggingface" / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "onnx"
    assert {"shower-generation", "ecal", "clic-siw"} <= set(card.data.tags)
    found = {it.metric_type: (it.metric_value, it.dataset_type) for it in card.data.eval_results}
    assert found == {"w1_geomean": (0.02, "full-simulation"), "auc": (0.6, "full-simulation")}


def test_a_strangers_card_writes_no_html_and_no_metadata_of_its_own(exported: Path) -> None:
    text = (exported / "huggingface" / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("\n---\n", 1)[0], *text.split("\n---\n", 1)
    assert yaml.safe_load(front.removeprefix("---\n"))["license"] == "apache-2.0"
    assert "<b>" not in body
    assert "<x>" not in body
    assert "\n# not a heading" not in body
    assert "\n---\n" not in body


def test_the_oci_layout_is_one_by_the_specification(version: Pulled, exported: Path) -> None:
    from jsonschema import validate
    from oras import schemas
    from oras.layout import validation

    place = exported / "oci-artifact"
    for check in ("oci_layout_file", "index_json", "blobs_directory"):
        getattr(validation, f"_validate_{check}")(place)
    index = json.loads((place / "index.json").read_bytes())
    validate(index, schemas.index)
    manifest = json.loads(blob(place, index["manifests"][0]["digest"]))
    validate(manifest, schemas.manifest)
    for descriptor in (*index["manifests"], manifest["config"], *manifest["layers"]):
        assert len(blob(place, descriptor["digest"])) == descriptor["size"]
    assert len(list((place / "blobs" / "sha256").iterdir())) == len(set(files(version.folder))) + 2


def blob(place: Path, digest: str) -> bytes:
    import hashlib

    data = (place / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    return data


# modelpack/model-spec, schema/config-schema.json: nothing beyond these is allowed.
DESCRIPTOR = {
    "createdAt", "authors", "family", "name", "docURL", "sourceURL", "datasetsURL", "version",
    "revision", "vendor", "licenses", "title", "description",
}  # fmt: skip


def test_the_oci_artifact_is_a_modelpack(version: Pulled, exported: Path) -> None:
    place = exported / "oci-artifact"
    index = json.loads((place / "index.json").read_bytes())
    manifest = json.loads(blob(place, index["manifests"][0]["digest"]))
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    layers = {it["annotations"]["org.cncf.model.filepath"]: it for it in manifest["layers"]}
    assert layers["model.onnx"]["mediaType"] == "application/vnd.cncf.model.weight.v1.raw"
    assert layers["README.md"]["mediaType"] == "application/vnd.cncf.model.doc.v1.raw"
    assert {path: blob(place, it["digest"]) for path, it in layers.items()} == files(version.folder)
    config = json.loads(blob(place, manifest["config"]["digest"]))
    assert set(config) == {"descriptor", "modelfs", "config"}
    assert set(config["descriptor"]) <= DESCRIPTOR
    assert config["descriptor"]["title"] == TEXT
    diffs = [it["digest"] for it in manifest["layers"]]
    assert config["modelfs"] == {"type": "layers", "diffIds": diffs}
