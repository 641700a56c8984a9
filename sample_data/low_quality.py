"""Pages that nobody wants to learn from, in English and Chinese: advertisements, bait and stuffed keywords.

Written for this project. `make.py` draws the bad examples of the quality classifier from here, and `planted.py` some more
pages that the classifier must remove. A page is drawn by its number alone, so that each run gives the same.
"""

import random
from collections.abc import Callable

SLOTS = {
    "product": "watches|slimming pills|phone cases|mattresses|miracle creams|designer bags|vitamins|car insurance|e-books"
    "|running shoes|web hosting|loans|diet plans|sunglasses|casino chips|seo packages",
    "number": "3|5|7|9|10|12|24|48|77|99|100|365|500|999",
    "name": "Jessica|Mike|Brandon|Kelly|Amber|Steve|Tiffany|Doug",
    "货": "减肥茶|名牌手表|手机壳|面膜|保健品|男鞋|净水器|贷款|装修建材|发票|彩票软件|加盟项目|微商货源|祛斑霜|学历证书|游戏金币",
    "数": "3|5|7|8|10|15|28|30|99|100|168|365|888|999",
    "城": "北京|上海|广州|深圳|杭州|成都|武汉|郑州|南京|西安",
}
ENGLISH = """BUY NOW and SAVE {number}% on all {product}, today only!!!
Click here for the best cheap {product} online, best price {product}, discount {product} for sale.
Act fast, only {number} left in stock, order yours before they are gone forever!
You will not believe what {name} did to get free {product} in just {number} days.
Doctors HATE this one weird trick that makes {product} work {number} times faster!
Free shipping worldwide, money back guarantee, no questions asked, click the link below.
CONGRATULATIONS, you are our lucky visitor number {number}, claim your free {product} now!
Make ${number}00 a day from home with no experience, no boss and no risk at all.
Best {product} review {product} cheap {product} buy {product} online {product} coupon code.
Subscribe to our newsletter, follow us, like us, share us and get {number} free {product}.
Sign up today and get a BONUS of {number} dollars on your first deposit!!!
Top {number} reasons why you need new {product}, number {number} will SHOCK you.
Lose {number} pounds in a week without diet and without exercise, results guaranteed!
Thanks for sharing, nice post, please visit my site for cheap {product}.
Limited time offer, hurry up, offer ends at midnight, do not miss out!!!
Call now, our friendly agents are waiting for you {number} hours a day.
Hot singles and hot {product} in your area want to meet you tonight, click to chat.
Our {product} are the best {product} because our customers love our {product}.
100% natural, 100% safe, 100% legal, {number}00% satisfied customers, order {product} TODAY.
Home | Shop | {product} | Sale | New | Cart ({number}) | Login | Register | Help
No credit check, bad credit OK, instant approval, cash for {product} in {number} minutes.
{name} from Texas won $99{number} with our casino app, download it for free and spin to WIN!
Wholesale {product}, replica {product}, cheap {product} free shipping, {product} outlet store.
Enter your email to unlock the secret of {product} that THEY do not want you to know.
first!!! lol so true, check my profile for free {product} guys""".splitlines()
CHINESE = """厂家直销{货}，全场{数}折起，今天下单立减{数}元，先到先得！！！
加微信领红包，免费领取{货}，名额只剩{数}个，手慢无！
点击下方链接，立即抢购{货}，全国包邮，货到付款，假一赔十。
震惊！{城}一女子用了{货}，{数}天后竟然变成这样，不看后悔一辈子！
在家轻松月入{数}万，不需要经验，不需要本钱，宝妈学生都可以做。
{城}{货}哪家好，{城}{货}多少钱，{城}{货}价格，{城}{货}公司电话。
恭喜您成为本站第{数}位幸运用户，请点击领取{货}一份！
无效退款，签约保障，{数}天见效，不打针不吃药不节食不反弹。
专业办理{货}，快速放款，无抵押无担保，黑户也能下，当天到账{数}万。
转发到{数}个群，好运自然来，不转会倒霉{数}年。
楼主好人一生平安，顶顶顶，路过帮顶，前排卖{货}。
最新最全{货}大全，{货}排行榜，{货}十大品牌，{货}加盟，{货}批发。
秒杀！爆款{货}只要{数}块{数}，错过今天再等一年！！！
专家不敢说的秘密，{货}原来要这样用，赶快告诉你的家人！
扫码关注公众号，回复{数}，免费获取{货}资料一套。
亲，在吗，本店{货}全网最低价，量大从优，支持代发，欢迎咨询。
{数}位大师亲测，稳赚不赔，跟着老师买{货}，天天收米。
首页 | 公司简介 | 产品中心 | {货} | 新闻动态 | 在线留言 | 联系我们
本站{货}图片来自网络，点击查看更多{货}，更多精彩尽在{城}{货}网。
送送送！充{数}送{数}，充得越多送得越多，赶快注册领取{货}吧！
还在为{货}发愁吗？还在犹豫什么？马上拿起电话，拨打热线，好礼等你拿！
{城}上门服务，{城}{货}，{城}同城{货}，{数}小时在线，随叫随到。
老中医祖传{货}，三代单传，一个疗程见效，{数}岁老人也能用。
沙发，板凳，地板，水一贴，赚积分，求{货}资源，好人一生平安。
点赞过{数}就更新，关注主播不迷路，家人们把{货}打在公屏上！""".splitlines()


def page(language: str, number: int) -> str:
    """A page of 10 to 16 sentences, each with its slots filled; the same for the same number.

    Args:
        language: "en" or "zh".
        number: which page.
    """
    draw = random.Random(f"{language} {number}")
    sentences = draw.sample(ENGLISH if language == "en" else CHINESE, draw.randint(10, 16))
    for slot, words in SLOTS.items():
        choices = words.split("|")
        theme = draw.choice(choices)
        # A page sells one thing, but its numbers differ.
        pick = (lambda theme=theme: theme) if slot not in ("number", "数") else (lambda c=choices: draw.choice(c))
        sentences = [_fill(sentence, "{" + slot + "}", pick) for sentence in sentences]
    breaks = draw.randint(2, 4)
    joiner = " " if language == "en" else ""
    return "\n".join(joiner.join(sentences[start : start + breaks]) for start in range(0, len(sentences), breaks))


def _fill(sentence: str, slot: str, pick: Callable[[], str]) -> str:
    while slot in sentence:
        sentence = sentence.replace(slot, pick(), 1)
    return sentence
