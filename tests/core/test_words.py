"""Words of messages: suggestions, counted nouns and causes."""

from talkies.core import describe_os_error, format_count, suggest_nearest


def test_a_slip_of_the_fingers_is_answered_with_the_nearest_name() -> None:
    assert suggest_nearest("stps", ["seed", "steps", "keep"]) == " (did you mean 'steps'?)"


def test_a_word_near_to_none_gets_no_answer() -> None:
    assert suggest_nearest("xyz", ["seed", "steps"]) == ""


def test_one_is_singular_and_every_other_count_plural() -> None:
    assert [format_count(count, "film") for count in (0, 1, 2)] == ["0 films", "1 film", "2 films"]


def test_the_cause_of_a_refusal_is_in_the_systems_own_words() -> None:
    assert describe_os_error(OSError(28, "No space left on device")) == "no space left on device"


def test_a_refusal_without_a_number_is_told_by_its_text_or_else_its_kind() -> None:
    assert describe_os_error(OSError("Cable unplugged")) == "cable unplugged"
    assert describe_os_error(TimeoutError()) == "timeouterror"
