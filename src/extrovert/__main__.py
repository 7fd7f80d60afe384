"""`python -m extrovert` is the command `extrovert`."""

from extrovert.surfaces.cli import main

if __name__ == "__main__":
    main()
