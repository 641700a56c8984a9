"""Templates within sentences."""

import pytest

from datapipe.read.formats.wiki_templates import template_text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("convert|1,234.5|-|6|C|F", "1,234.5–6 °C"),
        ("convert|3|x|4|x|5|cm|in", "3 × 4 × 5 cm"),
        ("convert|12|/km2|/sqmi", "12 per km²"),
        ("Lang |1=de|2=Wort", "Wort"),
        ("link-de|边境总督|Markgraf", "边境总督"),
        ("frac|7", "1/7"),
        ("frac|1|2|3", "1 2/3"),
        ("val|5.25|e=6|u=m", "5.25×10^6 m"),
        ("date|2020|5|17", "17 May 2020"),
        ("as of|2010|alt=By then", "By then"),
        ("circa|1900|1910", "c. 1900 – c. 1910"),
        ("hlist|a|b", "\n* a\n* b\n"),
        # In sentences of other wikis.
        ("HMS|Victory", "HMS Victory"),
        ("USS|Iowa|BB-61", "USS Iowa (BB-61)"),
        ("sclass|Iowa|battleship", "Iowa-class battleship"),
        ("XVIIe siècle", "XVIIe siècle"),
        ("1er", "1er"),
        ("s|XX", "XXe siècle"),
        ("s|12 июня", "12 июня"),
        ("unité|12345|km", "12,345 km"),
        ("date|1|janvier|2000", "1 janvier 2000"),
        ("siglo|XX", "siglo XX"),
        ('"|Zitat|Autor', "Zitat"),
        ("laS|civis", "civis"),
        ("要出典|範囲=この文|date=2010年", "この文"),
        ("нп5|Имя|имени|en|Name", "имени"),
        ("нп5|Имя||en|Name", "Имя"),
        ("bd|701年||762年|5月1日|catIdx=L", "701年－762年5月1日"),
        ("chem|H|2|O", "H2O"),
        ("resize|90%|small", "small"),
        ("harvtxt|Smith|Jones|2000", "Smith & Jones (2000)"),
        ("flags|x", ""),
        ("ndash", "–"),
        ("uc:abc", "ABC"),
        ("formatnum:x", "x"),
        ("PAGENAME", "Berlin"),
        ("Infobox|a=b", ""),
        ("#if:x|y|z", ""),
    ],
)
def test_what_they_show(template: str, text: str) -> None:
    assert template_text(template, "Berlin") == text
