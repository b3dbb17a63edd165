"""`python -m catalog`, and `torchrun ... -m catalog adapt`: the command line."""

from catalog.cli import main

main()
