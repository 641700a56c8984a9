"""Books of Project Gutenberg, in the marks of thirty years."""

from collections.abc import Callable

import pytest

from datapipe.read.formats.gutenberg import book_of, declared_encoding
from tests.helpers import Read

LICENCE = "Updated editions will replace the previous one. Project Gutenberg is a trademark.\n" * 200
HEAD = "The Project Gutenberg eBook, Emma\n\nThis eBook is for anyone.\n\nTitle: Emma,\nor a Match\nAuthor: Jane"
SMALL = "The Project Gutenberg Etext of Emma, by Jane Austen\n\nWorld of Free Plain Vanilla Electronic Texts\n\n"
BOOK = "CHAPTER I\n\nEmma Woodhouse, handsome, clever, and rich.\n\n  *       *       *\n\nThe end."


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            HEAD + "\n\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\n\n",
            "\n\n*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***",
        ),
        (
            HEAD + "\n\n***START OF THIS PROJECT GUTENBERG ETEXT EMMA,\nOR A\nMATCH***\n\n",
            "\n***END OF THIS PROJECT GUTENBERG ETEXT",
        ),
        (
            HEAD + "\n\n*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***\n\nProduced by A and B\n\n[Illustration]",
            "\n\nEnd of Project Gutenberg's Emma, by Jane Austen\n\n*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***\n",
        ),
        (HEAD + "\n*** START OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK X ***\n", "\n\n*** START: FULL LICENSE ***\n"),
        (
            SMALL + "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n",
            "\n\nEnd of The Project Gutenberg Etext of Emma",
        ),
        (
            SMALL + "*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*\n",
            "\n\nThe End of Project Gutenberg's",
        ),
        (SMALL + "Please make a donation.\n\n", "\n\n***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***"),
        # The small print comes last, and its end is no beginning.
        (
            HEAD + "\n\n*** START OF THE PROJECT GUTENBERG EBOOK, EMMA ***\n\n",
            (
                "\n\n*** END OF THE PROJECT GUTENBERG EBOOK, EMMA ***\n"
                "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN EBOOKS**START***\n"
                "*END THE SMALL PRINT! FOR PUBLIC DOMAIN EBOOKS*Ver.02/11/02*END*"
            ),
        ),
        (
            (
                "Project Gutenberg Australia\n\nTitle: Emma\nAuthor: Jane\n"
                "* A Project Gutenberg of Australia eBook *\n\n"
                "To contact Project Gutenberg of Australia go to http://gutenberg.net.au\n\n"
            ),
            "\n\nThis site is full of FREE ebooks - Project Gutenberg Australia",
        ),
        ("", "\n\n\nEnd of the Project Gutenberg EBook of Emma, by Jane Austen"),
        ("", "\n\nEnde dieses Projekt Gutenberg Etextes Emma"),
    ],
)
def test_notices_of_every_age_are_cut(before: str, after: str, newline: str) -> None:
    book = book_of((before + BOOK + after + "\n" + LICENCE).replace("\n", newline))
    assert book is not None
    assert book.text.removeprefix("[Illustration]") == BOOK


def test_what_the_head_says_comes_along() -> None:
    book = book_of(HEAD + "\n\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\n\n" + BOOK)
    assert book is not None
    assert book.columns == {"title": "Emma, or a Match", "author": "Jane", "language": "English"}
    book = book_of(BOOK + "\n\nEnd of the Project Gutenberg EBook of Na Han, by Xun Lu\n")
    assert book is not None
    assert book.columns == {"title": "Na Han", "author": "Xun Lu"}


@pytest.mark.parametrize(
    "text",
    [
        BOOK,
        "I have it from Project Gutenberg.",
        "START OF THE PROJECT GUTENBERG EBOOK, I read",
        "An essay on Project Gutenberg.\n\nThe end of the Project Gutenberg era is not near.\nMany read.",
    ],
)
def test_other_texts_are_none_of_its_books(text: str) -> None:
    assert book_of(text) is None


def test_lines_of_a_chinese_book_with_an_empty_line_after_each_are_joined() -> None:
    full, short = "這一行有十八個字所以在這裡還沒有結束呢", "這裡結束。"
    paragraph = f"　　{full}\n\n{full}\n\n{short}"
    text = f"《題目》\n\n {paragraph}\n\n\n{paragraph}\n\n\n{full}\n\n{full}\n\n{full}"
    book = book_of(text + "\n\nEnd of the Project Gutenberg EBook of Na Han, by Xun Lu\n")
    assert book is not None
    assert book.text.split("\n\n") == ["《題目》", f"{full}{full}{short}", f"{full}{full}{short}", full * 3]


def test_files_are_read_without_notices_and_in_the_encoding_that_their_head_names(
    read_as: Callable[[str], Read],
) -> None:
    read = read_as("text")
    text = HEAD + "\n\nCharacter set encoding: ISO-8859-1\n\n*** START OF THE PROJECT GUTENBERG EBOOK É ***\n\nCafé."
    assert declared_encoding(text.encode("latin-1")) == "iso-8859-1"
    assert declared_encoding(b"Character set encoding: ISO-8859-1") == ""
    (row,) = read(text.encode("latin-1"))
    assert row.columns == {"text": "Café.", "title": "Emma, or a Match", "author": "Jane"}
    (row,) = read(text.encode(), gutenberg_notices=True)
    assert row.columns == {"text": text}
