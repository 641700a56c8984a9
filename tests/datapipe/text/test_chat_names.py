"""The names are those of the forms and of their policies, no more and no fewer; the module itself imports nothing."""

import typing

from datapipe.text.chat_forms import FORMS
from datapipe.text.chat_names import CHATML, FormName, LossName


def test_every_name_is_in_use() -> None:
    assert typing.get_args(FormName) == tuple(FORMS)
    assert {loss for form in FORMS.values() for loss in form.losses} == set(typing.get_args(LossName))
    assert set(FORMS["chatml"].control_tokens) < set(CHATML)
