"""LaTeX as text."""

import contextlib
import itertools
import random
import time

import pytest

from datapipe.read.formats.latex import read_latex_source
from datapipe.read.formats.source import Damage


def read(source: str, **files: str) -> str:
    return read_latex_source(source, lambda name: files.get(name.removesuffix(".tex")), 1_000_000).text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            r"one\cite{a} two~\citep[see][p.~2]{b}, (\ref{c}) \emph{three} {\bf four}\footnote{no {x}} five.",
            "one two, three four five.",
        ),
        (
            "``Quotes'' -- and --- dashes, 50\\% \\& more \\$5, a\\_b \\S 3 \\ldots",
            "“Quotes” – and — dashes, 50% & more $5, a_b §3 …",
        ),
        (
            r"Ond\v{r}ej \v{C}ert\'{\i}k, Gr\"obner, \AA ngstr\"{o}m, na\"\i ve, \ss, \c{c}, \~n",
            "Ondřej Čertík, Gröbner, Ångström, naïve, ß, ç, ñ",
        ),
        (
            "affine-% comment\n  invariant \\% kept % gone\nnext\n% whole line\n\nnew",
            "affine-invariant % kept next\n\nnew",
        ),
        # Code within a line in braces, and what is left open: neither takes the paper with it.
        ("x \\lstinline{a % {b} \\c} y, \\mintinline{c}{d%e}.", "x a % {b} \\c y, d%e."),
        ("x \\verb|a b\n\nnext \\lstinline{c\nd | e", "x a b\n\nnext c d | e"),
        ("See \\href{http://a.b/c%20d}{the page} there.", "See the page there."),
        (
            (
                "\\SI{5}{\\kilo\\metre\\per\\second}, \\qty{3}{kg}, \\SIrange{1}{2}{\\celsius}, "
                "in \\si{\\volt}, \\unit[7]{km}."
            ),
            "5 kilometre per second, 3 kg, 1 to 2 celsius, in volt, 7 km.",
        ),
        (
            "\\ifx\\a\\b one\\else two\\fi three \\ifnum\\x<3 four\\fi, \\ifdim 2pt>\\y five\\fi; \\ifodd\\x six\\fi.",
            "one three four, five; six.",
        ),
        # Plain TeX, AMS-TeX and harvmac.
        (
            "\\magnification=1200\n\\beginsection 1. One\n\nText, $x$.\n\\newsec{Two}\nMore.\n\\bye\nno",
            "1. One\n\nText, $x$.\n\nTwo\n\nMore.",
        ),
        (
            (
                "\\title A\\endtitle\\author B\\endauthor\n\\head 1. C\\endhead\nText.\n"
                "\\Refs\\key 1\\endRefs\n\\enddocument no"
            ),
            "1. C\n\nText.",
        ),
        ("a\nb\n\nc\\\\d\\\\[2pt]e", "a b\n\nc\nd\ne"),
        (r"$\alpha_1 < \beta$ and \(x\) in $a\label{x}b$", r"$\alpha_1 < \beta$ and $x$ in $ab$"),
        (
            "A\n\\begin{equation}\\label{e}\nx = 1,\n\\end{equation}\nB \\[y\\] $$z$$",
            "A\n\\begin{equation}\nx = 1,\n\\end{equation}\nB\n\\[\ny\n\\]\n\n\\[\nz\n\\]",
        ),
        (
            "\\begin{itemize}\\item one\n\\item[two] three\\begin{enumerate}\\item four\\end{enumerate}\\end{itemize}",
            "• one\n  two three\n\n    1. four",
        ),
        (
            (
                "A\\begin{lstlisting}[language=x]\n% kept\n  \\cite{x} $\n\\end{lstlisting}B \\verb|%\\x| \\url{"
                "http://a/%20_b}"
            ),
            "A\n\n% kept\n  \\cite{x} $\n\nB %\\x http://a/%20_b",
        ),
        (
            (
                "A\\begin{figure}[t]\\begin{tabular}{c}x\\end{tabular}\\caption{y}\\end{figure}\\begin{table*}z"
                "\\end{table*}B"
            ),
            "AB",
        ),
        ("A \\begin{thebibliography}{9}\\bibitem{x} Y\\end{thebibliography}\\bibliography{z} B", "A B"),
        (
            (
                r"\href{http://x}{here} \textcolor{red}{red} \color{blue}blue\vspace{1cm} \hspace*{2pt}x \unknown"
                r"[opt]{kept} {\it [kept]}"
            ),
            "here red blue x kept [kept]",
        ),
        (
            "\\newtheorem{thm}{Theorem}\\begin{thm}[Euler] A.\\end{thm}\\begin{proof}B.\\end{proof}",
            "Theorem (Euler). A.\n\nProof. B.",
        ),
        (
            (
                "\\iffalse a \\ifx b\\fi\\else c\\fi d \\newif\\ifdraft \\ifdraft e\\else f\\fi \\drafttrue\\ifd"
                "raft g\\fi"
            ),
            "cd fg",
        ),
    ],
)  # fmt: skip
def test_mark_up(source: str, text: str) -> None:
    assert read(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\newcommand{\x}{X\xspace}\x is \x, \x{} and (\x)", "X is X, X and (X)"),
        (r"\newcommand\pair[2][a]{<#1, #2>}\pair{b} \pair[c]{d}", "<a, b> <c, d>"),
        (r"\def\a#1#2{#2#1}\def\b{\a{x}}\b{y} \renewcommand{\b}{z}\b", "yx z"),
        (r"\def\between#1:#2.{#2-#1}\between one:two.!", "two-one!"),
        (r"\newcommand{\R}{\mathbb{R}}\newcommand{\n}[1]{\|#1\|}$\n{x}\in\R^2$", r"$\|x\|\in\mathbb{R}^2$"),
        (r"\DeclareMathOperator{\tr}{tr}\let\old\tr $\old A$", r"$\operatorname{tr}A$"),
        (r"\newenvironment{note}[1]{Note #1: }{ End.}\begin{note}{7}a\end{note}", "Note 7: a End."),
        (r"\NewDocumentCommand{\who}{O{me} m}{#2 by #1}\who{a}, \who[you]{b}", "a by me, b by you"),
        (r"\def\a{\alpha}$\a x\a$", r"$\alpha x\alpha$"),
        (r"\newcommand{\sec}[1]{\section{The #1}}\sec{End}", "The End"),
    ],
)  # fmt: skip
def test_macros_of_the_user(source: str, text: str) -> None:
    assert read(source) == text


PAPER = r"""\documentclass{article}
\newcommand{\name}{Datum}
\title[short]{On \name{} \\ and \emph{more}\thanks{us}}
\begin{document}\maketitle
\begin{abstract}We say what \name is.\end{abstract}
Not yet.
\section{Introduction}\label{s}
First. \input{part}
\subsection*{Sub}
Last.
\appendix
\section{More}
\end{document}
After.
"""


def test_a_paper_begins_with_its_first_section() -> None:
    paper = read_latex_source(PAPER, {"part": r"Part of \name. \input{deep/er}", "deep/er": "Deeper."}.get, 10_000)
    assert paper.text == "Introduction\n\nFirst. Part of Datum. Deeper.\n\nSub\n\nLast.\n\nMore"
    assert (paper.title, paper.abstract) == ("On Datum and more", "We say what Datumis.")
    without = read_latex_source(
        "\\begin{document}\\begin{abstract}A\\end{abstract}Body.\\end{document}", lambda _: None, 99
    )
    assert (without.text, without.abstract) == ("Body.", "A")


# Each of six macros is eight of the next one.
EIGHT_TIMES_EIGHT = (
    "".join(f"\\def\\{a}{{" + f"\\{b}" * 8 + "}" for a, b in itertools.pairwise("abcdefg")) + "\\def\\g{x}\\a"
)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (r"\newcommand{\a}{\a\a}\a", "macro_bomb"),
        (EIGHT_TIMES_EIGHT, "macro_bomb"),
        (r"\def\a#1{\a{#1#1}}\a{xxxxxxxxxxxx}", "macro_bomb"),
        (r"\def\a{xxxxxxxxxxxxxxxxxxxxxxxx\a}\a", "too_large"),
        (r"\input{loop}", None),
        ("\\section{" * 500, "macro_bomb"),
        ("\\iffalse " * 30_000, "macro_bomb"),
        ("\\begin{figure}" * 30_000, "macro_bomb"),
        ("x" * 2_000_000, "too_large"),
    ],
)  # fmt: skip
def test_what_has_no_end_is_told_within_seconds(source: str, reason: str | None) -> None:
    begin = time.process_time()
    with pytest.raises(Damage) if reason else contextlib.nullcontext() as raised:
        read(source, loop=r"a \input{loop} b")
    assert raised is None or raised.value.reason == reason
    assert time.process_time() - begin < 20


def test_marks_at_random_raise_nothing_else() -> None:
    commands = (
        "begin{itemize} end{itemize} item section{ def\\a#1 a verb| cite{ begin{equation} end{equation} fi else iffalse"
    )
    commands += " newcommand ' input begin{document} [ ]"
    marks = ["{", "}", "$", "$$", "%", "\n", "\n\n", "&", "#", "\\", "[", "]", "^", "~", "word "]
    marks += ["\\" + command for command in commands.split()]
    for seed in range(400):
        draw = random.Random(seed)
        with contextlib.suppress(Damage):
            read("".join(draw.choice(marks) for _ in range(100)))
