"""``python -m holdfast``."""

from holdfast.cli.standalone import main

if __name__ == "__main__":
    main(prog_name="python -m holdfast")
