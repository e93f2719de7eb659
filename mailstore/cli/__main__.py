"""``python -m mailstore.cli`` is the command ``mailstore``."""

from mailstore.cli import main

if __name__ == "__main__":
    main()
