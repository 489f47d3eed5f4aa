"""Texts in several languages for benchmarks: as long, and as hard to compress, as what language models answer.

Words are drawn by Zipf's law from a vocabulary of each language: its most frequent words, and words made of their
beginnings and ends, with what a prompt is about drawn more often in all answers to it, and some phrases that models
like. No text is a copy of another.
"""

import random
from dataclasses import dataclass

import numpy as np

VOCABULARY = 6_000  # words of a language
TOPIC, ON_TOPIC = 60, 0.25  # words of a prompt's topic, and how many of the drawn ones are of it
PHRASED = 0.06  # of the places that a phrase of the language stands at
# Characters that 500 tokens of a language are, about, in the vocabularies of recent models; its words and phrases.
LANGUAGES = {
    "English": (
        2_200,
        "the of and to in is that for it as with on be at by this from or have an are not but which one all were "
        "they there when more some time people would into other than then could only new years two first also "
        "these may like between after should because through where each those both system information different "
        "however important example development using problem question answer number process result world water "
        "government children",
        "For example|it is important to|in order to|as well as|there are several|you can use|on the other hand|"
        "I hope this",
    ),
    "Spanish": (
        1_900,
        "de la que el en y a los se del las un por con no una su para es al lo como más pero sus le ya o este sí "
        "porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos "
        "uno les ni contra otros ese eso ante ellos esto antes algunos qué unos yo otro otras otra información "
        "desarrollo problema ejemplo",
        "Por ejemplo|es importante|sin embargo|a través de|en primer lugar|además de|se puede|por lo tanto",
    ),
    "Russian": (
        1_700,
        "и в не на я быть он с что а по это она этот к но они мы весь который из у который то за свой что от так "
        "о для ты же все тот мочь вы человек такой его сказать только или ещё бы себя один как уже до время если "
        "сам когда другой вот говорить наш мой знать стать при чтобы дело жизнь кто первый очень два день рука "
        "даже новый во со",
        "Например|в том числе|таким образом|следует отметить|с другой стороны|для того чтобы|кроме того",
    ),
    "Arabic": (
        1_450,
        "في من على أن إلى التي الذي هذا هذه عن مع كان ما لا أو كل بعد قد بين ذلك لم عند غير حتى إذا ثم أي هو هي "
        "كما لها منذ له ولا خلال حيث أكثر يمكن العالم العربية الماء الناس العمل المدينة الحياة الوقت الدولة "
        "الكتاب المدرسة اليوم المعلومات مثال مشكلة سؤال جواب عدد نتيجة تطوير نظام مهم مختلف جديد كبير صغير أول "
        "آخر",
        "على سبيل المثال|من المهم|بالإضافة إلى|من ناحية أخرى|يمكنك استخدام|وبالتالي",
    ),
    "Hindi": (
        1_150,
        "के में की है और से का को पर इस होता कि जो कर मे गया करने किया लिये अपने ने बनी नहीं तो ही या एवं दिया "
        "हो इसका था द्वारा हुआ तक साथ करना वाले बाद लिए आप कुछ सकते किसी ये इसके सबसे इसमें थे दो होने वह वे "
        "करते बहुत कहा वर्ग कई करें होती अपनी उनके थी यदि हुई जा जानकारी समय लोग पानी सरकार उदाहरण समस्या प्रश्न "
        "उत्तर संख्या परिणाम विकास",
        "उदाहरण के लिए|यह महत्वपूर्ण है|इसके अलावा|दूसरी ओर|के रूप में|आप कर सकते हैं",
    ),
    "Chinese": (
        800,
        "的 一 是 不 了 在 人 有 我 他 这 个 们 中 来 上 大 为 和 国 地 到 以 说 时 要 就 出 会 可 也 你 对 生 "
        "能 而 子 那 得 于 着 下 自 之 年 过 发 后 作 里 用 道 行 所 然 家 种 事 成 方 多 经 么 去 法 学 如 都 "
        "同 现 当 没 动 面 起 看 定 天 分 还 进 好 小 部 其 些 主 样 理 心 她 本 前 开 但 因 只 从 想 实 日 军 "
        "者 意 无 力 它 与 长 把 机 十 民 第 公 此 已 工 使 情 明 性 知 全 三 又 关 点 正 业 外 将 两 高",
        "例如|需要注意的是|总的来说|另一方面|可以使用|在这种情况下|首先|因此",
    ),
    "code": (
        1_800,
        "self return if in for def import None not True False else from data value key index result name list "
        "len range print class str int append items path open file read write model batch loss step config args "
        "kwargs torch numpy tensor shape size assert raise while try except lambda yield with as is and or break "
        "continue global order total",
        "for i in range(|if __name__ == |return self.|import numpy as np|def __init__(self, |raise ValueError(|"
        "    assert ",
    ),
}
SIGNS = {
    "Chinese": (["", "，", "。", "。\n\n", "、"], [0.86, 0.07, 0.045, 0.01, 0.015]),
    "Hindi": ([" ", ", ", "। ", "।\n\n", " - "], [0.86, 0.06, 0.055, 0.015, 0.01]),
    "code": ([" ", "(", ")\n    ", " = ", ".", ", ", ":\n        "], [0.3, 0.14, 0.14, 0.12, 0.14, 0.1, 0.06]),
}
USUAL_SIGNS = ([" ", ", ", ". ", ".\n\n", ": ", "\n- "], [0.855, 0.06, 0.055, 0.01, 0.01, 0.01])


@dataclass(frozen=True)
class Language:
    """A language to draw texts of: words and phrases as object arrays, odds of the words, and what stands between."""

    characters: int
    words: np.ndarray
    odds: np.ndarray
    phrases: np.ndarray
    signs: np.ndarray
    sign_odds: list[float]


def language(name: str, seed: int = 0) -> Language:
    """One of LANGUAGES; the same for the same seed."""
    characters, words, phrases = LANGUAGES[name]
    rng = random.Random(f"{seed} {name}")
    signs, sign_odds = SIGNS.get(name, USUAL_SIGNS)
    known = list(dict.fromkeys(words.split()))
    made = _chinese(known, rng) if name == "Chinese" else _made_up(known, rng)
    ranks = np.arange(1, len(made) + 1)
    odds = 1 / (ranks + 2.7)
    arrays = (np.array(part, dtype=object) for part in (made, phrases.split("|"), signs))
    found = dict(zip(("words", "phrases", "signs"), arrays, strict=True))
    return Language(characters, odds=odds / odds.sum(), sign_odds=sign_odds, **found)


def answers(of: Language, count: int, share: float, rng: np.random.Generator) -> list[str]:
    """So many texts on one topic, `share` times as long as 500 tokens on average, between half and one and a half."""
    topic = rng.choice(len(of.words), TOPIC, p=of.odds)
    mean = sum(map(len, of.words[rng.choice(len(of.words), 200, p=of.odds)])) / 200 + 1.1
    return [
        _text(of, max(1, int(of.characters * share * length / mean)), topic, rng)
        for length in rng.uniform(0.5, 1.5, count)
    ]


def _text(of: Language, words: int, topic: np.ndarray, rng: np.random.Generator) -> str:
    drawn = rng.choice(len(of.words), words, p=of.odds)
    drawn = np.where(rng.random(words) < ON_TOPIC, rng.choice(topic, words), drawn)
    parts = np.empty(2 * words, dtype=object)
    parts[::2] = np.where(rng.random(words) < PHRASED, rng.choice(of.phrases, words), of.words[drawn])
    parts[1::2] = rng.choice(of.signs, words, p=of.sign_odds)
    return "".join(parts).strip()


def _made_up(known: list[str], rng: random.Random) -> list[str]:
    """The known words, the most frequent first, and others that begin as some of them and end as others."""
    found = dict.fromkeys(known)
    while len(found) < VOCABULARY:
        first, second, third = rng.choices(known, k=3)
        found[first[: rng.randint(1, 4)] + second[rng.randint(0, 2) :][:4] + third[-rng.randint(1, 4) :]] = None
    return list(found)


def _chinese(known: list[str], rng: random.Random) -> list[str]:
    """Characters, the most frequent first, and words of two of them, or of rarer ones."""
    signs = known + [chr(code) for code in rng.sample(range(0x4E00, 0x9FA0), 1_500)]
    odds = [1 / (rank + 20) for rank in range(len(signs))]
    found = dict.fromkeys(known)
    while len(found) < VOCABULARY:
        found["".join(rng.choices(signs, odds, k=2))] = None
    return list(found)
