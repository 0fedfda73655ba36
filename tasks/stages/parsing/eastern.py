"""Which encoding of East Asia a text is in, by how common its characters are.

Strict decoding alone does not tell: most Chinese text decodes as Korean and as Japanese. What does
is that a wrong reading hits rare characters, and the right one those of every day.
Invariant: the answer depends on the bytes alone.
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass

_SAMPLE_BYTES = 8192
_HIRAGANA_TO_KATAKANA = range(0x3041, 0x30FF)
_HALF_WIDTH = range(0xFF61, 0xFFA0)
_HANGUL = range(0xAC00, 0xD7A4)
_IDEOGRAPHS = range(0x4E00, 0xA000)
_BOXES = range(0x2500, 0x2580)
_SIGNS = frozenset("、。「」『』（），：；！？・…—“”‘’《》〈〉【】·　ー～％")
_FULL_WIDTH = range(0xFF01, 0xFF5F)

_COMMON, _KNOWN, _SIGN, _ODD, _RARE = 1.0, 0.3, 0.5, -0.5, -1.0
"""Points of a character: of every day, in the first level of its standard, a sign, of a script that
the language borrows, and one that hardly anybody writes."""

_SIMPLIFIED = """
的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所
然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长
把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身
果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活
尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治
展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领
共确传师观清今切院让识候带导争运
"""
_TRADITIONAL = """
這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實軍無與長機關點業將兩間問並應戰頭體見產話內給門兒東
聲員論處義幾認條氣題爾別變總電數報結務場計資許統區隊決馬書則聽卻達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶
導爭運
"""
_JAPANESE = """
日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入
選立開手米力学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強
気小七成期公野協取都和統以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書
府活原先共得解名交資予川向際査勝面委告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品
論計死官増係感特情投示変打男基私各始島直両朝革価式確村提運終果西勢減台広容必応演電住争談能無再位置企真流格有口過
局少放税検常校料状工建語営空職証土与急止送援供可役構木割聞身費付施切由説転食比難防補車優研収断何足違消境神番規術
"""
_KOREAN = """
이다는에의을가고로하를은지기한사인나시자어도대일수정리서스그과아전해장보게제니부있라만여성상주안원면들관경신우조미공구방
발중회동위음실거것생용내연세무분화저소계오학모두물마국차업개유비모선치단
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """One encoding.

    Attributes:
        name: Codec that reads it, the widest of its family.
        standard: Narrower codec whose first bytes tell common ideographs from rare ones.
        first_level: First bytes of common ideographs in that codec.
        common: Characters of every day.
        kana: Points of kana.
        hangul: Points of hangul.
    """

    name: str
    standard: str
    first_level: range
    common: frozenset[str]
    kana: float = _ODD
    hangul: float = _RARE


def _characters(*tables: str) -> frozenset[str]:
    return frozenset("".join(tables).replace("\n", ""))


_CANDIDATES = (
    _Candidate(
        name="gb18030",
        standard="gb2312",
        first_level=range(0xB0, 0xD8),
        common=_characters(_SIMPLIFIED),
    ),
    _Candidate(
        name="big5hkscs",
        standard="big5",
        first_level=range(0xA4, 0xC7),
        common=_characters(_SIMPLIFIED, _TRADITIONAL),
    ),
    _Candidate(
        name="cp932",
        standard="euc_jp",
        first_level=range(0xB0, 0xD0),
        common=_characters(_JAPANESE),
        kana=_COMMON,
    ),
    _Candidate(
        name="euc_jis_2004",
        standard="euc_jp",
        first_level=range(0xB0, 0xD0),
        common=_characters(_JAPANESE),
        kana=_COMMON,
    ),
    _Candidate(
        name="cp949",
        standard="euc_kr",
        first_level=range(0),
        common=_characters(_KOREAN),
        hangul=_KNOWN,
    ),
)


def best_eastern(data: bytes) -> tuple[str, float]:
    """Return the encoding that fits best and how well, in [-1, 1]; ("", -1) when none decodes."""
    scores = [
        (_mean_points(text, candidate), candidate.name)
        for candidate in _CANDIDATES
        if (text := _decoded(data, candidate.name))
    ]
    score, name = max(scores, default=(-1.0, ""))
    return name, score


def _decoded(data: bytes, name: str) -> str:
    """Return the beginning of a text, or "" when it is not in this encoding."""
    decoder = codecs.getincrementaldecoder(name)()
    try:
        return decoder.decode(data[:_SAMPLE_BYTES], len(data) <= _SAMPLE_BYTES)
    except UnicodeDecodeError:
        return ""


def _mean_points(text: str, candidate: _Candidate) -> float:
    foreign = [character for character in text if not character.isascii()]
    if not foreign:
        return -1.0
    return sum(_points(character, candidate) for character in foreign) / len(foreign)


def _points(character: str, candidate: _Candidate) -> float:
    code = ord(character)
    if character in candidate.common:
        return _COMMON
    ranges: tuple[tuple[range, Callable[[], float]], ...] = (
        (_HIRAGANA_TO_KATAKANA, lambda: candidate.kana),
        (_HALF_WIDTH, lambda: _ODD),
        (_HANGUL, lambda: _standard_points(character, candidate, candidate.hangul)),
        (_BOXES, lambda: _SIGN),
        (_FULL_WIDTH, lambda: _KNOWN),
        (_IDEOGRAPHS, lambda: _ideograph_points(character, candidate)),
    )
    if character in _SIGNS:
        return _SIGN
    return next((points() for codes, points in ranges if code in codes), _RARE)


def _ideograph_points(character: str, candidate: _Candidate) -> float:
    try:
        first = character.encode(candidate.standard)[0]
    except UnicodeEncodeError:
        return _RARE
    return _KNOWN if first in candidate.first_level else _ODD


def _standard_points(character: str, candidate: _Candidate, points: float) -> float:
    """Return points for what the narrower standard knows; its extensions are rare."""
    try:
        character.encode(candidate.standard)
    except UnicodeEncodeError:
        return _RARE
    return points
