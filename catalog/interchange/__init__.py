"""Exchange versions with other catalogs: one file per format, imported when it is asked for."""

from catalog.interchange.formats import FORMATS, export_version, import_version

__all__ = ["FORMATS", "export_version", "import_version"]
