"""The parts of the body a patient can point at: where they are drawn, and the sentence a tap becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from knowledge.records import Bilingual, Language

Group = Literal["head", "chest", "belly", "arms", "legs"]
Side = Literal["front", "back", "face"]  # face: the enlarged head beside the front view
Who = Literal["adult", "child"]


@dataclass(frozen=True)
class BodyRegion:
    """One part. shape: an SVG path in the 300 x 440 frame; left and right are the patient's own."""

    id: str
    name: Bilingual
    group: Group
    side: Side
    shape: str


Points = tuple[tuple[float, float], ...]
_ROUNDING = 6.0  # of corners, in units of the frame


def _rounded(points: Points) -> str:
    """A closed path through the points, its corners rounded."""
    parts: list[str] = []
    for before, here, after in zip((points[-1], *points[:-1]), points, (*points[1:], points[0]), strict=True):
        (x0, y0), (x1, y1) = _towards(here, before), _towards(here, after)
        parts.append(f"{'L' if parts else 'M'}{x0:.1f} {y0:.1f}Q{here[0]} {here[1]} {x1:.1f} {y1:.1f}")
    return "".join(parts) + "Z"


def _towards(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """The point a corner's rounding begins at; never beyond the middle of a short side."""
    length = math.dist(one, other)
    share = min(_ROUNDING, length / 2.2) / length
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def _mirrored(points: Points) -> Points:
    """The same on the other side of the body."""
    return tuple((200 - x, y) for x, y in points)


def _oval(x: float, y: float, rx: float, ry: float) -> str:
    """An ellipse about (x, y) as a path."""
    return f"M{x - rx} {y}a{rx} {ry} 0 1 0 {2 * rx} 0a{rx} {ry} 0 1 0 -{2 * rx} 0z"


_FACE = (  # beside the body: the head once more, large enough to tap
    ("forehead", "额头", "forehead", "M206 62Q250 -12 294 62Q250 44 206 62Z"),
    ("eye_right", "右眼", "right eye", _oval(229, 74, 16, 10)),
    ("eye_left", "左眼", "left eye", _oval(271, 74, 16, 10)),
    ("ear_right", "右耳朵", "right ear", _oval(195, 84, 9, 17)),
    ("ear_left", "左耳朵", "left ear", _oval(305, 84, 9, 17)),
    ("nose", "鼻子", "nose", _oval(250, 92, 9, 14)),
    ("cheek_right", "右脸", "right cheek", _oval(222, 104, 14, 14)),
    ("cheek_left", "左脸", "left cheek", _oval(278, 104, 14, 14)),
    ("teeth", "牙", "teeth", _oval(250, 120, 20, 9)),
    ("jaw", "下巴", "jaw", _oval(250, 140, 18, 8)),
    ("throat", "喉咙", "throat", _rounded(((232, 156), (268, 156), (274, 184), (226, 184)))),
)
_HEAD = _oval(100, 36, 22, 27)
_NECK: Points = ((90, 60), (110, 60), (112, 81), (88, 81))
# Shapes on the viewer's left; the other side is their mirror image.
_SHOULDER: Points = ((71, 86), (57, 88), (47, 97), (44, 114), (62, 114), (66, 99))
_CHEST: Points = ((88, 83), (73, 87), (67, 100), (65, 116), (69, 142), (88, 142))
_UPPER: Points = ((69, 144), (88, 144), (88, 171), (72, 171))
_LOWER: Points = ((70, 194), (88, 194), (88, 223), (65, 220))
_ARM: Points = ((44, 116), (62, 116), (59, 152), (43, 152))
_ELBOW: Points = ((43, 154), (59, 154), (58, 174), (41, 174))
_FOREARM: Points = ((41, 176), (58, 176), (53, 211), (38, 211))
_HAND: Points = ((38, 213), (53, 213), (57, 232), (50, 248), (39, 248), (33, 232))
_THIGH: Points = ((65, 223), (85, 226), (98, 244), (97, 312), (73, 312), (65, 262))
_KNEE: Points = ((73, 314), (97, 314), (96, 339), (75, 339))
_SHIN: Points = ((75, 341), (96, 341), (92, 397), (79, 397))
_FOOT: Points = ((79, 399), (92, 399), (95, 424), (66, 424), (66, 417))
_FLANK: Points = ((69, 152), (87, 152), (87, 193), (70, 193), (72, 171))
_WHOLE_ARM: Points = ((44, 116), (62, 116), (58, 174), (41, 174))
_BACK_THIGH: Points = ((65, 232), (98, 236), (97, 322), (73, 322), (65, 266))
_CALF: Points = ((73, 324), (97, 324), (92, 397), (79, 397))

# id, Chinese, English, group, side, shape: parts in the middle
_MIDDLE: tuple[tuple[str, str, str, Group, Side, str], ...] = (
    ("head", "头", "head", "head", "front", _HEAD),
    *((key, zh, en, "head", "face", shape) for key, zh, en, shape in _FACE),
    ("neck", "脖子", "neck", "head", "front", _rounded(_NECK)),
    ("chest_middle", "胸口", "chest", "chest", "front", _rounded(((90, 83), (110, 83), (110, 142), (90, 142)))),
    (
        "belly_upper",
        "上腹部",
        "upper belly",
        "belly",
        "front",
        _rounded(((90, 144), (110, 144), (110, 171), (90, 171))),
    ),
    (
        "navel",
        "肚脐周围",
        "belly around the navel",
        "belly",
        "front",
        _rounded(((72, 173), (128, 173), (130, 192), (70, 192))),
    ),
    (
        "belly_lower",
        "小肚子",
        "lower belly",
        "belly",
        "front",
        _rounded(((90, 194), (110, 194), (110, 223), (90, 223))),
    ),
    ("groin", "下身", "private parts", "belly", "front", _rounded(((87, 225), (113, 225), (105, 244), (95, 244)))),
    ("back_of_head", "后脑勺", "back of the head", "head", "back", _HEAD),
    ("nape", "后颈", "back of the neck", "head", "back", _rounded(_NECK)),
    (
        "upper_back",
        "后背",
        "upper back",
        "chest",
        "back",
        _rounded((*_mirrored(((73, 87), (65, 116), (69, 150))), *((69, 150), (65, 116), (73, 87)))),
    ),
    ("lower_back", "腰", "lower back", "chest", "back", _rounded(((89, 152), (111, 152), (111, 193), (89, 193)))),
    (
        "buttocks",
        "屁股",
        "buttocks",
        "legs",
        "back",
        _rounded(((70, 195), (130, 195), (135, 228), (100, 232), (65, 228))),
    ),
    ("anus", "肛门", "anus", "belly", "back", _oval(100, 226, 9, 8)),
)
# id, Chinese, English, group, side, shape of the part on the viewer's left: each stands for two parts
_PAIRS: tuple[tuple[str, str, str, Group, Side, Points], ...] = (
    ("shoulder", "肩膀", "shoulder", "arms", "front", _SHOULDER),
    ("chest", "边胸口", "side of the chest", "chest", "front", _CHEST),
    ("belly_upper", "上腹", "upper belly", "belly", "front", _UPPER),
    ("belly_lower", "下腹", "lower belly", "belly", "front", _LOWER),
    ("arm", "胳膊", "upper arm", "arms", "front", _ARM),
    ("elbow", "胳膊肘", "elbow", "arms", "front", _ELBOW),
    ("forearm", "小臂", "forearm", "arms", "front", _FOREARM),
    ("hand", "手", "hand", "arms", "front", _HAND),
    ("thigh", "大腿", "thigh", "legs", "front", _THIGH),
    ("knee", "膝盖", "knee", "legs", "front", _KNEE),
    ("shin", "小腿", "lower leg", "legs", "front", _SHIN),
    ("foot", "脚", "foot", "legs", "front", _FOOT),
    ("shoulder_blade", "肩胛", "shoulder blade", "arms", "back", _SHOULDER),
    ("flank", "边腰", "flank", "chest", "back", _FLANK),
    ("arm_back", "胳膊后面", "back of the arm", "arms", "back", _WHOLE_ARM),
    ("wrist", "手腕", "wrist", "arms", "back", _FOREARM),
    ("hand_back", "手背", "back of the hand", "arms", "back", _HAND),
    ("thigh_back", "大腿后面", "back of the thigh", "legs", "back", _BACK_THIGH),
    ("calf", "腿肚子", "calf", "legs", "back", _CALF),
    ("heel", "脚后跟", "heel", "legs", "back", _FOOT),
)


def _all_regions() -> dict[str, BodyRegion]:
    """Every part by id, head to foot on each side. On the front the patient's right is on the viewer's left."""
    rows = [(key, Bilingual(zh=zh, en=en), group, side, shape) for key, zh, en, group, side, shape in _MIDDLE]
    for key, zh, en, group, side, points in _PAIRS:
        for hand, zh_hand in (("right", "右"), ("left", "左")):
            on_viewers_left = (hand == "right") == (side == "front")
            name = Bilingual(zh=f"{zh_hand}{zh}", en=f"{hand} {en}")
            shape = _rounded(points if on_viewers_left else _mirrored(points))
            rows.append((f"{key}_{hand}", name, group, side, shape))
    order = {"front": 0, "face": 1, "back": 2}
    return {row[0]: BodyRegion(*row) for row in sorted(rows, key=lambda row: (order[row[3]], _top_of(row[4])))}


def _top_of(shape: str) -> float:
    """Where a path begins, from the top: for the order of the keyboard's way."""
    return float(shape[1:].replace("Q", " ").replace("a", " ").split()[1])


REGIONS = _all_regions()
GROUPS: dict[Group, Bilingual] = {
    "head": Bilingual(zh="头和脖子", en="Head and neck"),
    "chest": Bilingual(zh="胸和背", en="Chest and back"),
    "belly": Bilingual(zh="肚子", en="Belly"),
    "arms": Bilingual(zh="胳膊和手", en="Arms and hands"),
    "legs": Bilingual(zh="腿和脚", en="Legs and feet"),
}
FEELINGS: dict[str, Bilingual] = {
    "pain": Bilingual(zh="疼", en="pain"),
    "swelling": Bilingual(zh="肿了", en="swelling"),
    "numbness": Bilingual(zh="发麻", en="numbness"),
    "itching": Bilingual(zh="痒", en="itching"),
    "injury": Bilingual(zh="受伤了", en="an injury"),
}


def sentence_of(places: Sequence[str], feeling: str, who: Who, language: Language) -> str:
    """What the taps say, as the patient would: `我右下腹疼`, `I have pain in my lower right belly`."""
    regions = [REGIONS[place] for place in places]
    if language == "zh":
        whose = "我" if who == "adult" else "我家孩子"
        return whose + "、".join(region.name.zh for region in regions) + FEELINGS[feeling].zh
    names = [f"{'my' if who == 'adult' else 'the'} {region.name.en}" for region in regions]
    return f"{'I have' if who == 'adult' else 'My child has'} {FEELINGS[feeling].en} in {' and '.join(names)}"
