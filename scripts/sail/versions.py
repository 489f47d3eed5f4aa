"""Which TRL the plugin is for: it builds on names that TRL does not promise to keep (`sail.internals`)."""

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

TRL = ">=1.16,<1.17"


def check_trl() -> None:
    """See that the installed TRL is in the range; nothing of it is imported.

    Raises:
        ImportError: it is not, or there is none.
    """
    try:
        installed = version("trl")
    except PackageNotFoundError:
        installed = None
    if installed is None or not SpecifierSet(TRL).contains(installed, prereleases=True):
        found = f"trl {installed} is installed" if installed else "trl is not installed"
        raise ImportError(f"sail works with trl{TRL}, and {found}: run pip install 'trl{TRL}'")
