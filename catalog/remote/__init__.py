"""A catalog behind `catalog serve`: the same verbs over /api/v1 of a registry.

CATALOG_REGISTRY (or `catalog --registry`) names it; `load_settings`, `open_index` and `open_named`
then answer from there, so that what is built on them need not know.
"""
