"""What share of a text stands in sentences that say what notices and advertisements say.

One such sentence proves nothing: an article on privacy law says "personal data" now and then. A text of which most
sentences do, in several ways, is a cookie notice, terms of use, or an advertisement. The stems below, beginnings of
words and phrases language by language, were written for this project. C4's phrases (`POLICY_PHRASES` in `spans.py`)
are six, in English.

A stem is found in any case, where a word begins; in scripts without case, whose words take prefixes or stand without
spaces, anywhere.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datapipe.kernels import helper
from datapipe.text.characters import LETTER, MARK, SPACE, class_table, lower_table
from datapipe.text.spans import STEM, TERMINAL, WIDE_TERMINAL, Text, padded

NOTICES = {
    "en": "cookie|privacy policy|privacy notice|privacy statement|privacy settings|terms of use|"
    "terms of service|terms and conditions|these terms|rights reserved|copyright ©|personal data|"
    "personal information|third parties|third-party|our partners|your consent|to consent|accept all|"
    "opt out|opt-out|unsubscribe|your browser|enable javascript|this website|our website|this site|"
    "our site|external link|liability|liable|written permission|written consent|newsletter|gdpr|"
    "data protection|we reserve the right|by continuing|by using|by clicking|your data|legal notice|"
    "disclaimer|personalised ad|personalized ad|be reproduced|this agreement|our services|our service|"
    "you agree|you may not|as is|warrant|indemnif|governing law|intellectual property|sole discretion|"
    "prior notice|user content|your use of",
    "zh": "cookie|隐私政策|隐私权|隐私声明|隐私条款|隱私|使用条款|服务条款|使用條款|服務條款|用户协议|"
    "用戶協議|服务协议|版权所有|版權所有|保留所有权利|保留一切权利|保留所有權利|个人信息|个人数据|"
    "個人資料|第三方|合作伙伴|您的同意|即表示|全部接受|接受所有|退订|浏览器|瀏覽器|启用javascript|"
    "本网站|本站|本網站|我们的网站|外部链接|免责声明|免責|不承担任何|不承担责任|书面许可|书面授权|"
    "书面同意|不得转载|禁止转载|转载请注明|您的数据|法律声明|个性化广告|未经授权|icp备|您同意|本协议|"
    "本服务|用户应当|用户不得|您不得|有权随时|另行通知|知识产权|适用法律|本条款|最终解释权|不保证",
    "de": "cookie|datenschutz|nutzungsbedingung|geschäftsbedingung|alle rechte vorbehalten|personenbezogene|"
    "dritte weiter|unsere partner|ihre einwilligung|einwilligung|zuzustimmen|stimmen sie|"
    "alle akzeptieren|alles akzeptieren|abmelden|ihrem browser|ihren browser|javascript aktivieren|"
    "aktivieren sie javascript|diese website|dieser website|unsere website|unserer website|"
    "unserer webseite|diese webseite|externe link|externer link|haftung|impressum|"
    "schriftliche genehmigung|newsletter|ihre daten|ihrer daten|dsgvo|personalisierte werbung|"
    "urheberrecht|vervielfältig|diese bedingungen|dieser bedingungen|diesen bedingungen|unsere dienste|"
    "unserer dienste|gewährleistung|geistiges eigentum|geistigen eigentum|anwendbares recht|"
    "gerichtsstand|nach eigenem ermessen|vorankündigung|sie dürfen nicht|behalten uns das recht",
    "ru": "cookie|куки|конфиденциальност|условия использования|пользовательск|права защищены|персональн|"
    "третьим лиц|третьих лиц|партнёр|партнер|ваше согласие|согласие на|соглашаетесь|принять все|"
    "отписаться|браузер|включите javascript|этот сайт|этим сайт|этого сайта|этому сайту|нашего сайта|"
    "нашем сайте|материалы сайта|внешних ссыл|ответственност|письменного разрешения|ваши данные|"
    "ваших данных|рассылк|авторск|перепечатк|использования сайта|настоящего соглашения|"
    "настоящее соглашение|настоящие условия|наш сервис|наши услуги|пользователь обяз|"
    "предварительного уведомления|интеллектуальной собственност|применимое право|гарантий|"
    "собственному усмотрению|оставляем за собой право",
    "el": "cookie|απορρήτου|απόρρητο|όροι χρήσης|όρους χρήσης|όρων χρήσης|παντός δικαιώματος|"
    "προσωπικά δεδομένα|προσωπικών δεδομένων|προσωπικά σας δεδομένα|τρίτους|τρίτα μέρη|συνεργάτες|"
    "συγκατάθεσ|συναινέ|αποδέχεστε|αποδοχή όλων|πρόγραμμα περιήγησης|προγράμματος περιήγησης|"
    "javascript|ιστότοπο|ιστοσελίδα μας|ευθύνη|γραπτή άδεια|αναπαραγωγή|τα δεδομένα σας|"
    "των δεδομένων σας|ενημερωτικό δελτίο|παρόντες όρους|παρόντες όροι|παρόντων όρων|υπηρεσίες μας|"
    "υπηρεσιών μας|πνευματικής ιδιοκτησίας|προειδοποίηση|εφαρμοστέο δίκαιο|εγγύηση|συμφωνείτε|"
    "διατηρούμε το δικαίωμα",
    "th": "คุกกี้|ความเป็นส่วนตัว|ข้อกำหนดการใช้|เงื่อนไขการใช้|เงื่อนไขและข้อกำหนด|สงวนลิขสิทธิ์|ลิขสิทธิ์|"
    "ข้อมูลส่วนบุคคล|ข้อมูลของคุณ|บุคคลที่สาม|พันธมิตร|ยินยอม|ยอมรับ|เบราว์เซอร์|javascript|"
    "เว็บไซต์นี้|เว็บไซต์ของเรา|ลิงก์ภายนอก|ไม่รับผิดชอบ|ลายลักษณ์อักษร|ทำซ้ำ|จดหมายข่าว|ยกเลิกการรับ|"
    "ข้อตกลงนี้|ข้อกำหนดนี้|บริการของเรา|ทรัพย์สินทางปัญญา|โดยไม่ต้องแจ้ง|คุณตกลง|การรับประกัน|"
    "กฎหมายที่ใช้บังคับ|สงวนสิทธิ์",
    "ro": "cookie|confidențialitate|confidenţialitate|termeni de utilizare|termenii de utilizare|"
    "termeni și condiții|termenii și condițiile|drepturile rezervate|datele personale|date personale|"
    "datelor personale|cu caracter personal|datele dumneavoastră|datelor dumneavoastră|parteneri|"
    "consimț|sunteți de acord|accept toate|acceptă tot|dezabon|browser|activați javascript|acest site|"
    "acestui site|site-ului|site-ul nostru|externe|răspunderea|acordul scris|reproduce|reprodus|"
    "buletin informativ|gdpr|acești termeni|prezentul acord|serviciile noastre|serviciilor noastre|"
    "proprietate intelectuală|proprietății intelectuale|fără notificare|legea aplicabilă|garanți|"
    "ne rezervăm dreptul",
    "hi": "कुकी|गोपनीयता|उपयोग की शर्त|सेवा की शर्त|नियम और शर्त|सर्वाधिकार|व्यक्तिगत डेटा|व्यक्तिगत जानकारी|"
    "तीसरे पक्ष|भागीदार|सहमति|सहमत|स्वीकार करें|ब्राउज़र|ब्राउजर|javascript|इस वेबसाइट|हमारी वेबसाइट|"
    "इस साइट|हमारी साइट|साइट के|बाहरी लिंक|उत्तरदायी नहीं|जिम्मेदार नहीं|ज़िम्मेदार नहीं|लिखित अनुमति|"
    "आपका डेटा|आपके डेटा|अपने डेटा|कॉपीराइट|न्यूज़लेटर|इन शर्तों|ये शर्तें|हमारी सेवा|बौद्धिक संपदा|"
    "बिना सूचना|पूर्व सूचना|लागू कानून|वारंटी|आप सहमत|अधिकार सुरक्षित",
    "vi": "cookie|chính sách bảo mật|quyền riêng tư|điều khoản sử dụng|điều khoản dịch vụ|điều khoản|"
    "bản quyền|dữ liệu cá nhân|thông tin cá nhân|dữ liệu của bạn|bên thứ ba|đối tác|sự đồng ý|"
    "bạn đồng ý|đồng ý với|đồng ý cho|chấp nhận tất cả|trình duyệt|javascript|trang web này|"
    "trang web của chúng tôi|liên kết bên ngoài|chịu trách nhiệm|bằng văn bản|sao chép|hủy đăng ký|"
    "trang web|các điều khoản này|thỏa thuận này|dịch vụ của chúng tôi|sở hữu trí tuệ|thông báo trước|"
    "luật áp dụng|bạn không được|chúng tôi có quyền",
    "ar": "ملفات تعريف الارتباط|الكوكيز|كوكيز|الخصوصية|شروط الاستخدام|شروط الخدمة|الشروط والأحكام|"
    "الحقوق محفوظة|حقوق النشر|بياناتك|البيانات الشخصية|المعلومات الشخصية|معلوماتك|أطراف ثالثة|طرف ثالث|"
    "شركائنا|موافقتك|توافق على|للموافقة|قبول الكل|متصفح|javascript|جافا سكريبت|هذا الموقع|موقعنا|"
    "الموقع الإلكتروني|للموقع|الروابط الخارجية|مسؤولين عن|مسؤولية|إذن خطي|النشرة الإخبارية|"
    "إلغاء الاشتراك|هذه الشروط|هذه الاتفاقية|خدماتنا|الملكية الفكرية|دون إشعار|إشعار مسبق|"
    "القانون المعمول|ضمانات من أي|يحق لنا|نحتفظ بالحق",
    "es": "cookie|privacidad|condiciones de uso|términos de uso|términos y condiciones|"
    "condiciones del servicio|derechos reservados|datos personales|información personal|sus datos|"
    "tus datos|terceros|nuestros socios|consentimiento|consentir|aceptar todo|acepta el uso|"
    "acepta todas|su navegador|tu navegador|active javascript|activar javascript|este sitio|"
    "nuestro sitio|sitio web|esta web|nuestra web|enlaces externos|no nos hacemos responsables|"
    "autorización previa|por escrito|reproducirse|darse de baja|boletín|rgpd|aviso legal|"
    "estos términos|estas condiciones|este acuerdo|nuestros servicios|propiedad intelectual|"
    "previo aviso|ley aplicable|garantía|usted acepta|nos reservamos el derecho",
    "tr": "çerez|cookie|gizlilik|kullanım koşul|kullanım şart|hizmet şart|şartlar ve koşul|hakları saklıdır|"
    "hakkı saklıdır|kişisel veri|kişisel bilgi|verileriniz|üçüncü taraf|üçüncü kişi|ortaklarımız|"
    "onay ver|izin ver|kabul et|tarayıcı|javascript|bu site|bu web|web sitesi|web sitemiz|sitemizi|"
    "siteyi|dış bağlantı|sorumlu değil|sorumluluk|yazılı izin|çoğaltıla|telif hakkı|kvkk|abonelikten|"
    "bu koşullar|bu şartlar|bu sözleşme|hizmetlerimiz|fikri mülkiyet|önceden bildirim|geçerli hukuk|"
    "kabul eder|hakkını saklı tutar",
    "fr": "cookie|confidentialité|conditions d'utilisation|conditions générales|droits réservés|"
    "données personnelles|à caractère personnel|vos données|nos partenaires|votre consentement|"
    "consentir|tout accepter|votre navigateur|activer javascript|activez javascript|ce site|notre site|"
    "liens externes|responsabilité|mentions légales|rgpd|autorisation écrite|désabonner|désinscri|"
    "ces conditions|les présentes|nos services|propriété intellectuelle|sans préavis|droit applicable|"
    "garantie|vous acceptez|nous nous réservons",
    "it": "cookie|informativa sulla privacy|privacy policy|condizioni d'uso|termini e condizioni|"
    "termini di utilizzo|diritti riservati|dati personali|i tuoi dati|i suoi dati|terze parti|"
    "nostri partner|accetta tutt|browser|attiva javascript|questo sito|nostro sito|link esterni|"
    "responsabilità|autorizzazione scritta|note legali|i presenti termini|le presenti condizioni|"
    "nostri servizi|proprietà intellettuale|senza preavviso|legge applicabile|garanzi|l'utente accetta|"
    "ci riserviamo",
    "pt": "cookie|privacidade|termos de uso|termos de utilização|termos e condições|termos de serviço|"
    "direitos reservados|dados pessoais|seus dados|terceiros|nossos parceiros|consentimento|"
    "aceitar tudo|aceitar todos|navegador|ativar javascript|ative o javascript|este site|nosso site|"
    "links externos|responsabilidade|autorização prévia|por escrito|lgpd|estes termos|estas condições|"
    "nossos serviços|propriedade intelectual|aviso prévio|lei aplicável|garantia|você concorda|"
    "reservamo-nos",
    "nl": "cookie|privacybeleid|privacyverklaring|gebruiksvoorwaarden|algemene voorwaarden|"
    "rechten voorbehouden|persoonsgegevens|uw gegevens|onze partners|toestemming|alles accepteren|"
    "uw browser|deze website|onze website|deze site|externe links|aansprakelijk|schriftelijke|"
    "deze voorwaarden|onze diensten|intellectuele eigendom|zonder voorafgaande|toepasselijk recht|"
    "garantie|u gaat akkoord|behouden ons het recht",
    "pl": "cookie|ciasteczk|prywatnoś|regulamin|warunki korzystania|prawa zastrzeżone|danych osobowych|"
    "dane osobowe|twoje dane|twoich danych|partnerom|zgodę|zgadzasz się|akceptuj wszystk|przeglądar|"
    "tej stron|tej witryn|naszej stron|odpowiedzialnoś|pisemnej|niniejsz|nasze usługi|naszych usług|"
    "własności intelektualnej|bez uprzedzenia|prawo właściwe|gwarancj|akceptujesz|zastrzegamy sobie",
    "ja": "クッキー|cookie|プライバシーポリシー|プライバシー|利用規約|全著作権|無断転載|著作権|個人情報|"
    "個人データ|第三者|同意|すべて受け入れ|ブラウザ|javascript|当サイト|本サイト|当ウェブサイト|"
    "外部リンク|責任を負い|免責|本規約|本サービス|当社サービス|知的財産|予告なく|準拠法|保証するもの|"
    "利用者は",
    "ko": "쿠키|개인정보|이용약관|서비스 약관|모든 권리|저작권|제3자|파트너|동의|모두 수락|브라우저|"
    "자바스크립트|javascript|본 사이트|이 웹사이트|당사 웹사이트|외부 링크|책임을 지지|무단 전재|"
    "본 약관|본 서비스|당사의 서비스|지적 재산|지식재산|사전 통지|준거법|보증하지",
}
ADVERTS = {
    "en": "buy now|order now|shop now|order today|buy cheap|call now|click here|act now|apply now|"
    "sign up now|join now|free shipping|free delivery|best price|lowest price|discount|% off|"
    "special offer|limited offer|limited time|money back|money-back|no deposit|casino|jackpot|viagra|"
    "cialis|without prescription|no prescription|lose weight|weight loss|work from home|earn money|"
    "make money|dollars a day|credit check|payday loan|hot singles|win big|free bonus|your free|"
    "secret pill|satisfaction guaranteed|don't miss|hurry|in stock|free gift|free trial|replica watch|"
    "guaranteed|claim your|you have been selected|expires soon|act fast|buy followers|backlinks|"
    "contact us on whatsapp|lowest prices|cheap",
    "zh": "下单|低价|最低价|包邮|抢购|限时|红包|免费领取|点击这里|点击领取|点击下方|加微信|加qq|微信号|扫码|"
    "娱乐城|赌场|百家乐|注册就送|注册送|首存|无效退款|日赚|月入|无抵押|放款|代开发票|厂家直销|货到付款|"
    "先到先得|手慢无|秒杀|壮阳|套现|下款|黑户|黑白户|诚信经营|欢迎咨询|微信同号|联系qq|老虎机",
    "de": "jetzt kaufen|jetzt bestellen|jetzt zugreifen|jetzt sichern|jetzt anrufen|hier klicken|"
    "klicken sie hier|versand gratis|gratis versand|versandkostenfrei|kostenloser versand|"
    "kostenlosen bonus|bestpreis|bester preis|günstigste|billige|rabatt|sonderangebot|kurze zeit|"
    "solange der vorrat|geld-zurück|ohne einzahlung|casino|viagra|ohne rezept|rezeptfrei|abnehmen|"
    "kilo in|pfund in|von zu hause|geld verdienen|am tag verdienen|ohne schufa|kredit in|sofortkredit|"
    "heiße singles|auf lager|schnell zugreifen|gewinnen sie",
    "ru": "купите|купить|закажите|заказать сейчас|звоните|позвоните|нажмите здесь|жмите|скидк|распродаж|"
    "бесплатная доставка|доставка бесплатн|лучшая цена|лучшей цены|низкие цены|дешёв|дешев|акция|"
    "только сегодня|спешите|ограничен|казино|джекпот|ставки на|виагр|без рецепта|похуде|заработ|"
    "зарабатыв|без опыта|кредит за|займ|без справок|девушк|бесплатный бонус|выигрыва|гарантия",
    "el": "αγοράστε|παραγγείλ|παραγγελί|κάντε κλικ|καλέστε|έκπτωσ|εκπτώσεις|προσφορά|δωρεάν αποστολή|"
    "δωρεάν μπόνους|δωρεάν|καλύτερης τιμής|καλύτερη τιμή|φθην|βιαστείτε|περιορισμέν|καζίνο|κατάθεση|"
    "βιάγκρα|χωρίς συνταγή|χάστε|αδυνάτισ|από το σπίτι|την ημέρα χωρίς|κερδίστε|δάνειο|κοπέλες|τεμάχια",
    "th": "ซื้อเลย|ซื้อตอนนี้|สั่งเลย|สั่งซื้อ|คลิกที่นี่|คลิกเลย|โทรเลย|ส่งฟรี|ราคาถูก|ถูกที่สุด|ลดทันที|"
    "ลดราคา|ส่วนลด|โปรโมชั่น|จำกัด|รีบเลย|คาสิโน|บาคาร่า|สล็อต|หวย|เครดิตฟรี|โบนัส|ไม่ต้องฝาก|ฝากถอน|"
    "ใบสั่งแพทย์|ลดน้ำหนัก|ทำงานที่บ้าน|รายได้|เงินกู้|สินเชื่อ|อนุมัติ|สาวโสด|สมัครวันนี้|แอดไลน์",
    "ro": "cumpără acum|cumpără|comandă acum|comandați|apasă aici|click aici|sună acum|sună la|reducere|"
    "livrare gratuită|transport gratuit|cel mai bun preț|cel mai mic preț|ieftin|ofertă|grăbește|"
    "în stoc|cazino|fără depunere|bonus|viagra|fără rețetă|slăbește|kilograme în|de acasă|lei pe zi|"
    "câștig|credit aprobat|împrumut|femei singure|gratuit",
    "hi": "अभी खरीदें|ऑनलाइन खरीदें|खरीदें|अभी ऑर्डर|ऑर्डर करें|यहाँ क्लिक|यहां क्लिक|क्लिक करें|अभी कॉल|"
    "कॉल करें|छूट|मुफ़्त|मुफ्त|सबसे कम कीमत|सस्त|ऑफ़र|ऑफर|जल्दी करें|कैसीनो|लॉटरी|बोनस|बिना पर्चे|"
    "वज़न घटा|वजन घटा|घर बैठे|रुपये कमा|पैसे कमा|लोन|कर्ज|लड़कियों से|गारंटी",
    "vi": "mua ngay|đặt hàng ngay|đặt hàng|nhấn vào đây|bấm vào đây|gọi ngay|giảm giá|giảm %|"
    "miễn phí giao hàng|giao hàng miễn phí|miễn phí|giá tốt nhất|giá rẻ|khuyến mãi|ưu đãi|nhanh tay|"
    "chỉ còn|sòng bạc|casino|cá cược|nạp tiền|tiền thưởng|thuốc không cần đơn|không cần đơn|giảm cân|"
    "cân trong|tại nhà kiếm|kiếm tiền|mỗi ngày không|vay tiền|thế chấp|độc thân",
    "ar": "اشتر الآن|اشتر|اشتري|اطلب الآن|اضغط هنا|انقر هنا|اتصل الآن|خصم|تخفيض|شحن مجاني|الشحن مجاني|"
    "توصيل مجاني|مجانية|مجانا|أفضل سعر|أقل سعر|رخيص|عرض محدود|أسرع|الكازينو|كازينو|إيداع|مكافأة|"
    "بدون وصفة|اخسر|إنقاص الوزن|من المنزل|دولار يوميا|اربح|قرض|ضمانات|فتيات|قطعة",
    "es": "compre|compra ahora|compra ya|pida ahora|pide ahora|haga clic|haz clic|llame ahora|llama ahora|"
    "descuento|envío gratis|envío gratuito|mejor precio|precio más bajo|barato|oferta|dese prisa|"
    "date prisa|últimas unidades|casino|sin depósito|bono gratis|viagra|sin receta|pierda|adelgaz|"
    "kilos en|desde casa|al día sin|gane dinero|gane |préstamo|sin papeles|solteras",
    "tr": "satın al|hemen al|sipariş ver|buraya tıkla|tıklayın|hemen ara|hemen |indirim|kargo bedava|"
    "ücretsiz kargo|bedava|en iyi fiyat|en ucuz|ucuz|fırsat|sınırlı teklif|acele edin|kumarhane|casino|"
    "bahis|bonus|yatırım yapmadan|reçetesiz|kilo verin|zayıfla|evden çalış|lira kazan|para kazan|"
    "kredi |kefil|bekar kadın",
    "fr": "achetez|commandez|cliquez ici|appelez|livraison gratuite|meilleur prix|remise|promotion|"
    "offre limitée|offre spéciale|casino|sans dépôt|viagra|sans ordonnance|perdez|maigrir|gagnez|"
    "prêt rapide|pas cher",
    "it": "acquista ora|compra ora|ordina ora|clicca qui|chiama ora|spedizione gratuita|miglior prezzo|"
    "sconto|offerta limitata|casinò|senza deposito|senza ricetta|perdi peso|dimagri|guadagna|prestito",
    "pt": "compre agora|compre já|peça agora|clique aqui|ligue agora|frete grátis|melhor preço|desconto|"
    "oferta|cassino|sem depósito|sem receita|emagre|perca peso|ganhe dinheiro|ganhe |empréstimo",
    "ja": "今すぐ購入|今すぐ注文|今すぐ|ここをクリック|こちらをクリック|送料無料|最安値|割引|特別価格|"
    "期間限定|カジノ|入金不要|バイアグラ|ダイエット|稼げる|副業|即日融資|出会い",
    "ko": "지금 구매|지금 주문|여기를 클릭|무료 배송|무료배송|최저가|할인|특가|한정|카지노|바카라|토토|"
    "비아그라|다이어트|재택|대출|만남",
}
_HASH_BITS, _BITS_WITHIN = 12, 4  # of the 16 bits of a beginning, those that tell where its stems are, and the others
_WITHOUT_CASE = 0x590  # before: Latin, Greek, Cyrillic, Armenian; from here Hebrew, Arabic and on
_FEWEST = 3  # different stems, or exclamations: below, nothing is said


class Stems(NamedTuple):
    """Stems in lower case, ordered by their `_beginning`.

    Attributes:
        points: code points, a stem a row, padded with 0.
        is_notice: whether a stem is of notices, or else of advertisements.
        bounds: those whose beginning has the upper 12 bits h are rows `bounds[h]` to `bounds[h + 1]`,
            shape (2^12 + 1,).
        begins: a bit for each `_beginning` of a stem, 2^16 in all, shape (2^10,).
        folded: each code point in lower case, any white space as a space, shape (0x110000,).
    """

    points: npt.NDArray[np.int32]
    is_notice: npt.NDArray[np.bool_]
    bounds: npt.NDArray[np.int64]
    begins: npt.NDArray[np.uint64]
    folded: npt.NDArray[np.int32]


@helper
def _beginning(points: npt.NDArray[np.int32], at: int, folded: npt.NDArray[np.int32]) -> int:
    """16 bits of the first four code points from a place on, or of two where a script has no case."""
    value = np.int64(folded[points[at]]) * 131 + folded[points[at + 1]]
    if points[at] < _WITHOUT_CASE:
        value = (value * 131 + folded[points[at + 2]]) * 131 + folded[points[at + 3]]
    return (value ^ value >> 16) & 0xFFFF


@functools.cache
def stems() -> Stems:
    """The stems of all languages: a text's language need not be known."""
    of_adverts, of_notices = (
        {stem for listed in by_language.values() for stem in listed.split("|")} for by_language in (ADVERTS, NOTICES)
    )
    folded = lower_table().copy()
    folded[np.flatnonzero(class_table() & SPACE)] = 32
    in_turn = tuple(sorted(of_adverts | of_notices))
    beginnings = {stem: _beginning(row, 0, folded) for stem, row in zip(in_turn, padded(in_turn), strict=True)}
    listed = tuple(sorted(in_turn, key=beginnings.__getitem__))
    bounds = np.searchsorted([beginnings[stem] >> _BITS_WITHIN for stem in listed], np.arange(1 + (1 << _HASH_BITS)))
    begins = np.zeros(1 << 10, np.uint64)
    for beginning in beginnings.values():
        begins[beginning >> 6] |= np.uint64(1 << (beginning & 63))
    return Stems(padded(listed), np.array([stem in of_notices for stem in listed]), bounds, begins, folded)


@functools.cache
def first_points() -> npt.NDArray[np.bool_]:
    """Whether a stem begins with a code point, in either case, shape (0x110000,)."""
    begins = np.zeros(len(stems().folded), np.bool_)
    begins[stems().points[:, 0]] = True
    return begins[stems().folded]


@helper
def _longest_stem(t: Text, at: int, length: int, beginning: int, listed: Stems) -> tuple[int, int]:
    """The longest stem at a place of this beginning, and its length; -1 and 0 for none."""
    found, longest, key = -1, 0, beginning >> _BITS_WITHIN
    for k in range(listed.bounds[key], listed.bounds[key + 1]):
        size = 0
        while (
            listed.points[k, size]
            and at + size < length
            and listed.folded[t.points[at + size]] == listed.points[k, size]
        ):
            size += 1
        if not listed.points[k, size] and size > longest:
            found, longest = k, size
    return found, longest


@helper
def _find_stems(t: Text, length: int, listed: Stems) -> int:
    """Put where stems stand into `t.starts`, and which they are into `t.ends`; returns how many."""
    candidates, found, skip_until = 0, 0, 0
    t.any_flags[0] = (t.signs[0] & STEM) != 0
    for i in range(1, length):  # many at a time
        starts_word = (t.flags[i - 1] & (LETTER | MARK) == 0) | (t.points[i] >= _WITHOUT_CASE)
        t.any_flags[i] = ((t.signs[i] & STEM) != 0) & starts_word
    for i in range(length):
        t.starts[candidates] = i  # no branch: nobody could guess where words begin
        candidates += t.any_flags[i]
    for k in range(candidates):
        i = t.starts[k]
        beginning = _beginning(t.points, i, listed.folded)
        if (listed.begins[beginning >> 6] >> np.uint64(beginning & 63)) & np.uint64(1) and i >= skip_until:
            stem, size = _longest_stem(t, i, length, beginning, listed)
            if stem >= 0:
                skip_until = i + size
                t.starts[found], t.ends[found] = i, stem
                found += 1
    return found


@helper
def measure_notices(
    t: Text, length: int, at_spaces: bool, listed: Stems, seen: npt.NDArray[np.bool_]
) -> tuple[float, float, float]:
    """The shares of a text, of all but white space, in sentences that give notice, that advertise, that exclaim.

    A sentence gives notice that holds a stem of notices. It advertises if it holds two of advertisements, or one and
    exclaims. A share is 0 unless the text holds three different stems of its kind, or three exclamations.

    Args:
        t: the text, of `length` code points.
        at_spaces: whether white space ends a sentence, as in Thai; one stem is enough in so short a piece.
        listed: the stems.
        seen: memory, one for each stem.
    """
    found, marks = _find_stems(t, length, listed), 0
    kinds_noticed, kinds_advertised, times_exclaimed = 0, 0, 0
    seen[:] = False
    for k in range(found):
        stem = t.ends[k]
        kinds_noticed += listed.is_notice[stem] and not seen[stem]
        kinds_advertised += not listed.is_notice[stem] and not seen[stem]
        seen[stem] = True
    for i in range(length):
        marks += (t.points[i] == 0x21) | (t.points[i] == 0xFF01)  # ! and its wide form
    if max(kinds_noticed, kinds_advertised, marks) < _FEWEST:
        return 0.0, 0.0, 0.0
    total, size, exclaims, following = 0, 0, 0, 0
    noticed, advertised, exclaimed = 0, 0, 0  # code points
    for i in range(length):
        point = t.points[i]
        space = (t.flags[i] & SPACE) != 0
        if not space:
            size += 1
            exclaims = int(point in (0x21, 0xFF01))
        last = i + 1 == length
        ends = last or point == 10 or (space and at_spaces)
        if not ends and t.signs[i] & (TERMINAL | WIDE_TERMINAL):
            ends = (t.signs[i] & WIDE_TERMINAL) != 0 or (t.flags[i + 1] & SPACE) != 0
        if ends:
            notices, adverts = 0, 0  # in this sentence
            while following < found and t.starts[following] <= i:
                notices += listed.is_notice[t.ends[following]]
                adverts += not listed.is_notice[t.ends[following]]
                following += 1
            total += size
            noticed += size * (notices > 0)
            advertised += size * (adverts > 1 or (adverts == 1 and (at_spaces or exclaims > 0)))
            exclaimed += size * exclaims
            times_exclaimed += exclaims
            size, exclaims = 0, 0
    total = max(total, 1)
    return (
        noticed / total if kinds_noticed >= _FEWEST else 0.0,
        advertised / total if kinds_advertised >= _FEWEST else 0.0,
        exclaimed / total if times_exclaimed >= _FEWEST else 0.0,
    )
