from datapipe.near import suggest


def test_the_nearest_name_or_all_of_them() -> None:
    assert suggest("rulez", ["rules", "language"]) == "; did you mean 'rules'?"
    assert suggest("x", ["rules", "language"]) == "; known are rules, language"
