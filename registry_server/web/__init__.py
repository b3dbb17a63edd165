"""Web pages: the catalog for people, from the same functions that the API and commands use."""
