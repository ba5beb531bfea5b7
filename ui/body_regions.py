"""The parts of the body a patient can point at: where they are drawn, and the sentence a tap becomes."""

from __future__ import annotations

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


def _box(x: float, y: float, width: float, height: float, r: float = 6) -> str:
    """A rounded box as a path."""
    return (
        f"M{x + r} {y}h{width - 2 * r}a{r} {r} 0 0 1 {r} {r}v{height - 2 * r}a{r} {r} 0 0 1 -{r} {r}"
        f"h-{width - 2 * r}a{r} {r} 0 0 1 -{r} -{r}v-{height - 2 * r}a{r} {r} 0 0 1 {r} -{r}z"
    )


def _oval(x: float, y: float, rx: float, ry: float) -> str:
    """An ellipse about (x, y) as a path."""
    return f"M{x - rx} {y}a{rx} {ry} 0 1 0 {2 * rx} 0a{rx} {ry} 0 1 0 -{2 * rx} 0z"


# id, Chinese, English, group, side, shape. On the front the patient's right is on the viewer's left.
_ROWS: tuple[tuple[str, str, str, Group, Side, str], ...] = (
    ("head", "头", "head", "head", "front", _oval(100, 36, 23, 29)),
    ("forehead", "额头", "forehead", "head", "face", "M202 66a48 52 0 0 1 96 0q-48 -16 -96 0z"),
    ("eye_right", "右眼", "right eye", "head", "face", _oval(230, 76, 15, 10)),
    ("eye_left", "左眼", "left eye", "head", "face", _oval(270, 76, 15, 10)),
    ("ear_right", "右耳朵", "right ear", "head", "face", _oval(196, 84, 9, 16)),
    ("ear_left", "左耳朵", "left ear", "head", "face", _oval(304, 84, 9, 16)),
    ("nose", "鼻子", "nose", "head", "face", _oval(250, 94, 10, 12)),
    ("cheek_right", "右脸", "right cheek", "head", "face", _oval(222, 104, 14, 14)),
    ("cheek_left", "左脸", "left cheek", "head", "face", _oval(278, 104, 14, 14)),
    ("teeth", "牙", "teeth", "head", "face", _box(232, 112, 36, 15, 7)),
    ("jaw", "下巴", "jaw", "head", "face", _oval(250, 138, 22, 9)),
    ("throat", "喉咙", "throat", "head", "face", _box(232, 152, 36, 26, 8)),
    ("neck", "脖子", "neck", "head", "front", _box(89, 66, 22, 15, 4)),
    ("shoulder_right", "右肩膀", "right shoulder", "arms", "front", _oval(58, 96, 17, 15)),
    ("shoulder_left", "左肩膀", "left shoulder", "arms", "front", _oval(142, 96, 17, 15)),
    ("chest_right", "右边胸口", "right side of my chest", "chest", "front", _box(66, 83, 22, 58, 8)),
    ("chest_middle", "胸口", "chest", "chest", "front", _box(89, 83, 22, 58, 5)),
    ("chest_left", "左边胸口", "left side of my chest", "chest", "front", _box(112, 83, 22, 58, 8)),
    ("belly_upper_right", "右上腹", "upper right belly", "belly", "front", _box(68, 143, 21, 28, 5)),
    ("belly_upper", "上腹部", "upper belly", "belly", "front", _box(90, 143, 20, 28, 3)),
    ("belly_upper_left", "左上腹", "upper left belly", "belly", "front", _box(111, 143, 21, 28, 5)),
    ("navel", "肚脐周围", "belly around the navel", "belly", "front", _box(68, 173, 64, 20, 6)),
    ("belly_lower_right", "右下腹", "lower right belly", "belly", "front", _box(68, 195, 21, 27, 5)),
    ("belly_lower", "小肚子", "lower belly", "belly", "front", _box(90, 195, 20, 27, 3)),
    ("belly_lower_left", "左下腹", "lower left belly", "belly", "front", _box(111, 195, 21, 27, 5)),
    ("groin", "下身", "private parts", "belly", "front", _box(86, 224, 28, 20, 8)),
    ("arm_right", "右胳膊", "right arm", "arms", "front", _box(40, 113, 22, 42, 10)),
    ("arm_left", "左胳膊", "left arm", "arms", "front", _box(138, 113, 22, 42, 10)),
    ("elbow_right", "右胳膊肘", "right elbow", "arms", "front", _oval(48, 166, 11, 10)),
    ("elbow_left", "左胳膊肘", "left elbow", "arms", "front", _oval(152, 166, 11, 10)),
    ("hand_right", "右手", "right hand", "arms", "front", _box(30, 178, 23, 60, 10)),
    ("hand_left", "左手", "left hand", "arms", "front", _box(147, 178, 23, 60, 10)),
    ("thigh_right", "右大腿", "right thigh", "legs", "front", _box(68, 246, 30, 66, 11)),
    ("thigh_left", "左大腿", "left thigh", "legs", "front", _box(102, 246, 30, 66, 11)),
    ("knee_right", "右膝盖", "right knee", "legs", "front", _oval(82, 325, 14, 12)),
    ("knee_left", "左膝盖", "left knee", "legs", "front", _oval(118, 325, 14, 12)),
    ("shin_right", "右小腿", "right lower leg", "legs", "front", _box(71, 339, 23, 58, 10)),
    ("shin_left", "左小腿", "left lower leg", "legs", "front", _box(106, 339, 23, 58, 10)),
    ("foot_right", "右脚", "right foot", "legs", "front", _box(64, 400, 30, 24, 9)),
    ("foot_left", "左脚", "left foot", "legs", "front", _box(106, 400, 30, 24, 9)),
    ("back_of_head", "后脑勺", "back of the head", "head", "back", _oval(100, 36, 23, 29)),
    ("nape", "后颈", "back of the neck", "head", "back", _box(88, 66, 24, 15, 4)),
    ("shoulder_back_left", "左肩背", "back of the left shoulder", "arms", "back", _oval(58, 96, 17, 15)),
    ("shoulder_back_right", "右肩背", "back of the right shoulder", "arms", "back", _oval(142, 96, 17, 15)),
    ("upper_back", "后背", "upper back", "chest", "back", _box(68, 83, 64, 64, 9)),
    ("flank_left", "左边腰", "left flank", "chest", "back", _box(68, 150, 20, 44, 7)),
    ("lower_back", "腰", "lower back", "chest", "back", _box(89, 150, 22, 44, 5)),
    ("flank_right", "右边腰", "right flank", "chest", "back", _box(112, 150, 20, 44, 7)),
    ("buttocks", "屁股", "buttocks", "legs", "back", _box(68, 197, 64, 32, 14)),
    ("anus", "肛门", "anus", "belly", "back", _oval(100, 239, 11, 9)),
    ("arm_back_left", "左胳膊后面", "back of the left arm", "arms", "back", _box(40, 113, 22, 62, 10)),
    ("arm_back_right", "右胳膊后面", "back of the right arm", "arms", "back", _box(138, 113, 22, 62, 10)),
    ("wrist_left", "左手腕", "left wrist", "arms", "back", _box(30, 178, 23, 60, 10)),
    ("wrist_right", "右手腕", "right wrist", "arms", "back", _box(147, 178, 23, 60, 10)),
    ("thigh_back_left", "左大腿后面", "back of the left thigh", "legs", "back", _box(68, 250, 30, 76, 11)),
    ("thigh_back_right", "右大腿后面", "back of the right thigh", "legs", "back", _box(102, 250, 30, 76, 11)),
    ("calf_left", "左腿肚子", "left calf", "legs", "back", _box(71, 330, 23, 66, 10)),
    ("calf_right", "右腿肚子", "right calf", "legs", "back", _box(106, 330, 23, 66, 10)),
    ("heel_left", "左脚后跟", "left heel", "legs", "back", _box(66, 400, 28, 24, 9)),
    ("heel_right", "右脚后跟", "right heel", "legs", "back", _box(106, 400, 28, 24, 9)),
)
REGIONS: dict[str, BodyRegion] = {
    key: BodyRegion(key, Bilingual(zh=zh, en=en), group, side, shape) for key, zh, en, group, side, shape in _ROWS
}
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
    whose, possessive = ("I have", "my") if who == "adult" else ("My child has", "the")
    names = [region.name.en.replace("my ", f"{possessive} ") for region in regions]
    where = " and ".join(f"{possessive} {name}" if " of " not in name else f"the {name}" for name in names)
    return f"{whose} {FEELINGS[feeling].en} in {where}"
