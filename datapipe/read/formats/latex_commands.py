"""Commands and environments of LaTeX by what is read of them: nothing, an argument, a character, a formula, code."""


def _words(text: str) -> list[str]:
    return text.split()


# LaTeX's, and those of harvmac, in which much of hep-th was written.
SECTIONS = frozenset(_words("part chapter section subsection subsubsection newsec subsec subsubsec"))
# AMS-TeX's parts between `\name` and `\endname`: headings, the title, the abstract, and what is no running text.
DELIMITED = dict.fromkeys(_words("head heading subhead subheading specialhead"), "heading")
DELIMITED |= {"title": "title", "abstract": "abstract"}
DELIMITED |= dict.fromkeys(_words("author affil address email thanks date dedicatory keywords subjclass Refs"), "")
# siunitx's quantities, by how many arguments they have, of which the last is a unit; and what stands before a unit.
QUANTITIES = {"SI": 2, "qty": 2, "si": 1, "unit": 1, "SIrange": 3, "qtyrange": 3}
PREFIXES = frozenset(
    _words(
        "yocto zepto atto femto pico nano micro milli centi deci deca hecto kilo mega giga tera peta exa zetta yotta"
    )
)
ENDS_OF_PLAIN = frozenset(_words("bye enddocument"))
RUN_IN = frozenset(_words("paragraph subparagraph"))
# Environments that are no running text, those that are formulas, code, lists.
DROPPED = frozenset(
    _words("""
    CCSXML IEEEbiography SCfigure algorithm algorithm2e algorithmic biography comment ctable deluxetable
    figure filecontents floatingfigure keyword keywords landscape longtable marginfigure margintable picture
    psfrags pspicture references sidewaysfigure sidewaystable subfigure supertabular tabbing table tabular
    tabularx tabulary tblr teaserfigure thebibliography threeparttable tikzpicture titlepage wrapfigure
    wraptable xltabular
    """)
)
FORMULAS = frozenset(
    _words("""
    IEEEeqnarray align alignat aligned array displaymath dmath empheq eqnarray equation flalign gather math
    multline xalignat
    """)
)
VERBATIM = frozenset(
    _words("""
    BVerbatim LVerbatim Verbatim alltt code lstlisting minted pyconsole semiverbatim verbatim
    """)
)
LISTS = frozenset(
    _words("""
    asparaenum compactenum compactitem description enumerate inparaenum itemize list
    """)
)
# Arguments of environments, which are no text.
ENVIRONMENT_ARGUMENTS = {"multicols": 1, "minipage": 1, "adjustwidth": 2, "list": 2, "spacing": 1, "CJK": 2}
# Commands that go with so many arguments, each with options in brackets before it.
GONE = {
    name: count
    for count, names in (
        (
            0,
            """
            Huge LARGE Large allowbreak appendix backmatter balance begingroup bf bfseries bgroup
            bigbreak bigskip break centering cleardoublepage clearpage columnbreak doublespacing
            egroup em endgroup fi flushbottom footnotesize frontmatter fussy global goodbreak hfill
            hline hrule hss huge indent it itshape large leavevmode listoffigures listoftables long
            mainmatter makeatletter makeatother makeindex maketitle mdseries medbreak medskip
            newpage noindent nolinebreak nonumber nopagebreak normalfont normalsize notag null
            onecolumn onehalfspacing outer pagebreak phantomsection printbibliography printindex
            protect raggedbottom raggedleft raggedright relax rm rmfamily sc scriptsize scshape
            selectfont sf sffamily singlespacing sl sloppy slshape small smallskip strut
            tableofcontents tiny tt ttfamily twocolumn upshape vfill vss
            """,
        ),
        (
            1,
            """
            Cite Citep Citet Cref DeclareGraphicsExtensions RequirePackage accepted addbibresource
            address affil affiliation altaffilmark author authorrunning autocite autoref bibitem
            bibliography bibliographystyle bstctlcite caption captionsetup ccsdesc cite citeNP
            citealp citealt citeauthor citenum citep citet citeyear citeyearpar color corref cortext
            cref date documentclass documentstyle ead email epsfbox eqref fnref fntext footcite
            footnote footnotemark footnotetext fullcite geometry glossary graphicspath hphantom
            hspace hypersetup includegraphics index institute keywords label linespread lstset
            marginpar nameref newblock newcounter newlength newsavebox nocite onlinecite orcid pacs
            pagecolor pagenumbering pageref pagestyle parencite phantom preprint psfig received ref
            refstepcounter shortauthors shorttitle sidenote stepcounter subjclass subref supercite
            tag textcite thanks theoremstyle thispagestyle tikzset titlerunning todo urlstyle
            usepackage usetheme usetikzlibrary vphantom vref vspace
            """,
        ),
        (
            2,
            """
            DeclareFieldFormat DeclareUnicodeCharacter addtocounter addtolength altaffiltext
            fontsize markboth newcolumntype numberwithin rule setcounter setkeys setlength
            """,
        ),
        (
            3,
            """
            addcontentsline definecolor titlespacing
            """,
        ),
    )
    for name in _words(names)
}
# Commands of which the argument after so many is the text.
LATER = {
    "href": 1, "textcolor": 1, "colorbox": 1, "fcolorbox": 2, "raisebox": 1, "parbox": 1, "scalebox": 1,
    "resizebox": 2, "foreignlanguage": 1, "texorpdfstring": 1, "multicolumn": 2, "hyperref": 0, "rotatebox": 1,
    "makebox": 0,
}  # fmt: skip
# Commands that stand for characters.
CHARACTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å",
    "AA": "Å", "i": "i", "j": "j", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "S": "§", "P": "¶", "dag": "†",
    "ddag": "‡", "copyright": "©", "pounds": "£", "ldots": "…", "dots": "…", "textellipsis": "…",
    "textendash": "–", "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“",
    "textquotedblright": "”", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^",
    "textless": "<", "textgreater": ">", "textbar": "|", "textbullet": "•", "textdegree": "°", "degree": "°",
    "texttimes": "×", "textregistered": "®", "texttrademark": "™", "textmu": "µ", "textquotesingle": "'",
    "textquotedbl": "\"", "textunderscore": "_", "textdollar": "$", "textbraceleft": "{", "textbraceright": "}",
    "euro": "€", "texteuro": "€", "EUR": "€", "guillemotleft": "«", "guillemotright": "»", "LaTeX": "LaTeX",
    "TeX": "TeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "quad": " ", "qquad": " ", "enspace": " ",
    "thinspace": " ", "space": " ", "newline": "\n", "linebreak": "\n", "par": "\n\n", "slash": "/", "lq": "‘",
    "rq": "’", "hdots": "…", "textsection": "§", "textparagraph": "¶", "nobreakspace": " ", "lbrace": "{",
    "rbrace": "}", "dash": "—", "\\": "\n", ",": " ", ";": " ", ":": " ", "!": "", " ": " ", "\n": " ", "\t": " ",
    "-": "", "/": "", "@": "", "%": "%", "&": "&", "$": "$", "#": "#", "_": "_", "{": "{", "}": "}", ">": " ",
    "<": "", "+": "", "*": "",
}  # fmt: skip
# Accents, as they are combined with the letter before (Unicode).
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", "\"": "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "d": "\u0323",
    "b": "\u0331", "t": "\u0361",
}  # fmt: skip
