"""Pages for people: names in them are shown as they are, but nothing hides or reverses them."""

from markupsafe import Markup

from talkies.reporting.pages import _escape_text


def test_what_would_make_a_name_misleading_is_escaped() -> None:
    assert _escape_text("a\x1b\x9b\u202e\u200f.mp4") == r"a\x1b\x9b\u202e\u200f.mp4"
    assert _escape_text("two\nlines of Amélie 日本") == "two\nlines of Amélie 日本"


def test_numbers_and_markup_of_the_template_stay() -> None:
    markup = Markup("<b>\u202e</b>")
    assert (_escape_text(3), _escape_text(markup)) == (3, markup)
