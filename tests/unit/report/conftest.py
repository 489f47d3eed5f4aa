"""What several modules of tests of the page need."""

import pytest
from chromium import open_browser


@pytest.fixture(scope="module")
def browser(request):
    """A browser for a module's tests, as wide as the module's WIDTH says where it has one."""
    opened = open_browser(width=getattr(request.module, "WIDTH", 1280))
    yield opened
    opened.quit()
