"""Words of MediaWiki in the languages of its wikis: what a link leads to, which templates say something, redirects.

A dump's head names its own namespaces, but pages use their English names, older ones and other spellings as well, and
heads lie. A word of any language is therefore known on every wiki: no page is about a title that begins with one.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split("|"))


# Namespaces whose links show no text where they stand, as MediaWiki's messages name them (languages/messages).
FILE_WORDS = _words(
    """
    file|image|media|img|datei|bild|fichier|archivo|imagen|ficheiro|arquivo|imagem|immagine|bestand|afbeelding|
    fil|billede|bilde|bilete|tiedosto|kuva|mynd|plik|grafika|soubor|súbor|obrázok|fájl|kép|fișier|fişier|
    imagine|datoteka|slika|датотека|слика|податотека|файл|картинка|изображение|зображення|выява|сурет|рәсем|
    сурат|суред|сурт|ӳкерчĕк|акс|ныв|räsem|dosya|resim|ресим|fayl|şəkil|αρχείο|εικόνα|קובץ|תמונה|טעקע|בילד|ملف|
    صورة|پرونده|تصویر|चित्र|चित्रं|किपा|छवि|চিত্র|ছবি|படிமம்|படம்|దస్త్రం|బొమ్మ|പ്രമാണം|ചിത്രം|ಚಿತ್ರ|ચિત્ર|
    ਤਸਵੀਰ|ଛବି|රූපය|ගොනුව|ไฟล์|ภาพ|ຮູບ|ဖိုင်|ឯកសារ|tập tin|hình|berkas|gambar|fail|imej|ファイル|画像|파일|그림|
    文件|檔案|档案|图像|圖像|图片|圖片|文檔|ფაილი|სურათი|պատկեր|pilt|attēls|vaizdas|abruozdielis|dosiero|
    fitxategi|irudi|fitxer|imatge|imaxe|imachen|imajen|imaj|imajo|émâge|figure|figura|immàgini|mmàggini|
    fasciculus|imago|delwedd|íomhá|skeudenn|skeda|lêer|beeld|beld|belld|bielde|plaetje|ofbeelding|ofbyld|òbrôzk|
    wobraz|видъ|picha|faili|talaksan|ladawan|larawan|tugna|rikcha|chitro|wêne
    """
)
CATEGORY_WORDS = _words(
    """
    category|cat|kategorie|catégorie|categoría|categoria|categorie|kategori|luokka|flokkur|bólkur|kategoria|
    kategória|kategorija|категорија|категория|категорія|катэгорыя|к|санат|төркем|категори|туркум|turkum|
    kateqoriya|κατηγορία|קטגוריה|קאטעגאריע|تصنيف|رده|زمرہ|وېشنيزه|श्रेणी|वर्ग|বিষয়শ্রেণী|பகுப்பு|వర్గం|വർഗ്ഗം|
    വിഭാഗം|ವರ್ಗ|શ્રેણી|ਸ਼੍ਰੇਣੀ|ଶ୍ରେଣୀ|ප්‍රවර්ගය|ප්රවර්ගය|หมวดหมู่|ໝວດ|ကဏ္ဍ|ចំណាត់ថ្នាក់ក្រុម|thể loại|カテゴリ|
    분류|分类|分類|კატეგორია|կատեգորիա|kategooria|kategorio|catagóir|rummad|jamii|kategorya|kategorî|kategoriya|
    ангилал|መደብ|catigurìa
    """
)
# Other projects, whose names in front of a title are no part of what is read; those of one letter or two are shared
# with language codes only where both are dropped.
PROJECT_WORDS = frozenset(
    """w wikipedia wikt wiktionary s wikisource q wikiquote b wikibooks n wikinews v wikiversity voy wikivoyage d
    wikidata c commons m meta species wikispecies mw mediawikiwiki special doi pmid isbn rfc arxiv user
    user_talk talk help template portal project""".split()  # noqa: SIM905 - a list of words
)

# What a redirect begins with, after `#` (the magic word in MediaWiki's messages).
REDIRECT_WORDS = (
    "redirect|redirection|weiterleitung|redirección|redireccion|redirecionamento|rinvia|rinvio|"
    "doorverwijzing|omdirigering|omdiriger|uudelleenohjaus|ohjaus|tilvísun|tilvisun|patrz|przekieruj|tam|"
    "presmeruj|přesměruj|átirányítás|redirectează|preusmjeri|preusmeri|преусмери|пренасочване|виж|"
    "пренасочување|перенаправление|перенапр|перенаправлення|перанакіраваньне|перанакіраванне|айдау|"
    "yönlendirme|yönlendir|istiqamətləndirmə|ανακατευθυνση|ανακατεύθυνση|הפניה|تحويل|تغییر_مسیر|تغییرمسیر|"
    "تغيير مسير|رجوع مکرر|रीडायरेक्ट|अनुप्रेषित|पुनर्प्रेषित|পুনঃনির্দেশ|পুনর্নির্দেশ|வழிமாற்று|దారిమార్పు|"
    "തിരിച്ചുവിടുക|เปลี่ยนทาง|đổi|alih|lencong|転送|リダイレクト|넘겨주기|重定向|重新導向|გადამისამართება|"
    "վերահղում|suuna|pāradresēt|peradresavimas|alidirektu|birzuzendu|redirecció|ail-cyfeirio|ridirect|"
    "athsheoladh|aanstuur|elekeza"
)

# Languages of wikis that stand in front of a title where a page has its like: [[de:Berlin]].
LANGUAGES = frozenset(
    """aa ab ace ady af ak als am an ang ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg bcl be
    be-tarask be-x-old bg bh bi bjn bm bn bo bpy br bs bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr
    crh cs csb cu cv cy da de din diq dsb dty dv dz ee el eml en eo es et eu ext fa ff fi fiu-vro fj fo fr frp
    frr fur fy ga gag gan gcr gd gl glk gn gom gor got gu gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia
    id ie ig ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kg ki kj kk kl km kn ko koi kr krc ks
    ksh ku kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv mai map-bms mdf mg mh mhr mi
    min mk ml mn mr mrj ms mt mus mwl my myv mzn na nah nap nds nds-nl ne new ng nl nn no nb nov nqo nrm nso nv
    ny oc olo om or os pa pag pam pap pcd pdc pfl pi pih pl pms pnb pnt ps pt qu rm rmy rn ro roa-rup roa-tara
    ru rue rw sa sah sat sc scn sco sd se sg sh shn si simple sk sl sm sn so sq sr srn ss st stq su sv sw szl
    ta tcy te tet tg th ti tk tl tn to tpi tr ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war
    wo wuu xal xh xmf yi yo za zea zh zh-classical zh-min-nan zh-yue zu zh-cn zh-tw yue nan lzh gsw rup
    sgs vro""".split()  # noqa: SIM905 - a list of codes
)
# Codes of wikis that differ from those of their languages (BCP 47).
LANGUAGE_OF_WIKI = {
    "als": "gsw", "bat-smg": "sgs", "be-x-old": "be", "be-tarask": "be", "cbk-zam": "cbk", "fiu-vro": "vro",
    "map-bms": "jv", "nds-nl": "nds", "no": "nb", "roa-rup": "rup", "roa-tara": "nap", "simple": "en",
    "zh-classical": "lzh", "zh-min-nan": "nan", "zh-yue": "yue",
}  # fmt: skip

# Chinese variants in which a form is looked for, best first (MediaWiki's LanguageConverter, ZhConverter).
VARIANTS = {
    "zh-hans": ("zh-hans", "zh-cn", "zh-sg", "zh-my", "zh"),
    "zh-cn": ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh"),
    "zh-sg": ("zh-sg", "zh-my", "zh-hans", "zh-cn", "zh"),
    "zh-my": ("zh-my", "zh-sg", "zh-hans", "zh-cn", "zh"),
    "zh-hant": ("zh-hant", "zh-tw", "zh-hk", "zh-mo", "zh"),
    "zh-tw": ("zh-tw", "zh-hant", "zh-hk", "zh-mo", "zh"),
    "zh-hk": ("zh-hk", "zh-mo", "zh-hant", "zh-tw", "zh"),
    "zh-mo": ("zh-mo", "zh-hk", "zh-hant", "zh-tw", "zh"),
}

# Templates of which one parameter is what is read: the first, the second, the last; or all, a line each.
FIRST = _words(
    """
    nowrap|nobr|nobold|small|smaller|big|larger|em|strong|abbr|tooltip|mvar|math|var|sic|not a typo|as written|
    sup|sub|smallcaps|sc|sc1|sc2|smallsup|underline|u|strike|del|ins|code|mono|key|keypress|kbd|samp|quote|
    blockquote|cquote|quotation|quote box|rquote|bquote|zitat|citation bloc|centre|center|left|right|
    color box|noitalic|visible anchor|vanchor|translation|gloss|pron|unicode|polytonic|hebrew|iw|iwl|ill|illm|
    interlanguage link|仮リンク|link|li|flag|flagcountry|flagu|fb|country|indent|block indent|
    bulleted list item|lien|補助漢字フォント|jis2004フォント|拡張漢字|僻字|angbr|angle bracket|chem2|
    ce|poem|poemquote|verse|le|internal link helper|ipa|цитата|comment|référence nécessaire|
    référence souhaitée|citation|citation needed span|cnspan|要出典範囲
    """
)
SECOND = _words(
    "lang|langx|langue|lang2|rtl-lang|wikt-lang|textcolor|color|colour|font color|fontcolor|font|audio|sort|hs"
)
LAST = _words("transl|transliteration|translit")
ALL = _words("plainlist|unbulleted list|ubl|ubil|bulleted list|hlist|flatlist|ordered list|plain list|columns-list")
# Templates that stand for characters.
CHARACTERS = {
    "!": "|", "=": "=", "'": "'", "\"": "\"", "nbsp": " ", "sp": " ", "space": " ", "thin space": " ", "thinsp": " ",
    "spaces": " ", "snd": " – ", "spnd": " – ", "spaced ndash": " – ", "ndash": "–", "en dash": "–", "–": "–",
    "mdash": "—", "em dash": "—", "—": "—", "spaced en dash": " – ", "·": " · ", "dot": " · ", "•": " • ",
    "bull": " • ", "middot": " · ", "okina": "ʻ", "pi": "π", "hyphen": "-", "-": "", "colon": ":", "(": "{{",
    ")": "}}", "((": "{{", "))": "}}", "!!": "||", "1/2": "½", "half": "½", "euro": "€", "ellipsis": "…", "...": "…",
    "bce": "BCE", "bc": "BC", "ad": "AD", "pp.": "pp.", "shy": "", "wbr": "", "zwsp": "", "zwj": "",
    "crlf": "\n", "break": "\n", "clear": "", "pound": "£", "degree": "°", "deg": "°", "minus": "−", "times": "×",
    "infin": "∞", "music sharp": "♯", "sharp": "♯", "flat": "♭",
}  # fmt: skip
