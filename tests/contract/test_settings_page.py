"""The page of settings."""

from tests.fakes.settings_page import PAGE, page


def test_the_page_of_settings_is_what_the_classes_say() -> None:
    """A setting that is described wrongly costs somebody a morning."""
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.fakes.settings_page writes it anew"
