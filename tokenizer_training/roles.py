"""The roles of special tokens: which begins a text, ends it, fills up rows, stands for what is unknown.

A `tokenizer.json` has no place for them; a SentencePiece `.model` and transformers' `tokenizer_config.json`, which lies
beside a `tokenizer.json`, have. So they are read with a tokenizer and written with what is made of it.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from datapipe.store import files
from tokenizer_training import sentencepiece_model
from tokenizer_training.algorithms import CHATML, TokenizerJson

ROLES = ("bos", "eos", "pad", "unk")
CONFIGURATION = "tokenizer_config.json"

Roles = dict[str, str]


def read_roles(path: str) -> Roles:
    """The roles that a tokenizer's own files give: a `.model`, or the configuration beside a `tokenizer.json`."""
    if path.endswith(".model"):
        with files.open_input(path) as source:
            model = sentencepiece_model.parse_model(source.read())
        ids = {role: getattr(model.trainer_spec, f"{role}_id") for role in ROLES}
        return {role: model.pieces[number].piece for role, number in ids.items() if 0 <= number < len(model.pieces)}
    folder = str(pathlib.PurePosixPath(path).parent) if path.endswith(".json") else path
    configuration = files.join(folder, CONFIGURATION)
    if path.endswith(".tiktoken") or not files.exists(configuration):
        return {}
    said = files.read_json(configuration)
    tokens = {role: said.get(f"{role}_token") for role in ROLES}
    # Where a token has flags, transformers writes an object.
    named = {role: token["content"] if isinstance(token, Mapping) else token for role, token in tokens.items()}
    return {role: token for role, token in named.items() if token}


def roles_of(tokenizer: TokenizerJson, given: Mapping[str, str]) -> Roles:
    """The roles of a tokenizer's special tokens: those given, and for others the names that are in use.

    These are `<s>` and `</s>` (SentencePiece), `<|endoftext|>` for the end and for filling up (GPT-2, Qwen), and the
    model's own unknown token.

    Raises:
        ValueError: if a token that is given is none of the tokenizer's special tokens.
    """
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    for role, token in given.items():
        if token and token not in special:
            known = ", ".join(sorted(special)) or "none"
            raise ValueError(f"{role}: the tokenizer has no special token {token!r}; it has {known}")
    end = CHATML[0]
    usual = {"bos": "<s>", "eos": end if end in special else "</s>", "pad": end, "unk": tokenizer["model"]["unk_token"]}
    found = {role: given.get(role) or usual[role] for role in ROLES}
    return {role: token for role, token in found.items() if token in special}


def configuration_of(roles: Mapping[str, str]) -> dict[str, Any]:
    """What transformers 5 writes into `tokenizer_config.json`."""
    configuration: dict[str, Any] = {
        "backend": "tokenizers",
        "clean_up_tokenization_spaces": False,
        "model_max_length": int(1e30),
        "tokenizer_class": "TokenizersBackend",
    }
    tokens = {f"{role}_token": roles.get(role) for role in ROLES if role in roles or role in ("eos", "pad")}
    return dict(sorted((configuration | tokens).items()))


def write_with_roles(folder: str, tokenizer: TokenizerJson, roles: Mapping[str, str]) -> None:
    """Write `tokenizer.json` into a folder and, where there are roles, transformers' configuration beside it."""
    files.make_folder(folder)
    files.write_json(files.join(folder, "tokenizer.json"), tokenizer)
    if roles:
        files.write_json(files.join(folder, CONFIGURATION), configuration_of(roles_of(tokenizer, roles)))
