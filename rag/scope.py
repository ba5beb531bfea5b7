"""What the words around a sign do to it: denial, condition, suspicion, past, somebody else's illness.

Each rule is a table of cues. A cue governs a sign when only fillers, list marks and other signs
stand between the two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag import scope_cues as cue_words

_CLAUSE_END = "，。；！？,;!?\n"
_SENTENCE_END = "。；！？;!?\n"


def clause_of(text: str, start: int, end: int) -> tuple[int, int]:
    """The clause around a span: up to the nearest comma or sentence mark on either side."""
    return _bounds(text, start, end, _CLAUSE_END)


def sentence_of(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentence around a span."""
    return _bounds(text, start, end, _SENTENCE_END)


def _bounds(text: str, start: int, end: int, marks: str) -> tuple[int, int]:
    left = start
    while left > 0 and not _ends_here(text, left - 1, marks):
        left -= 1
    right = end
    while right < len(text) and not _ends_here(text, right, marks):
        right += 1
    return left, right


def _ends_here(text: str, at: int, marks: str) -> bool:
    if text[at] == ".":
        return at + 1 == len(text) or text[at + 1] in " \n"
    return text[at] in marks


@dataclass(frozen=True)
class Scope:
    """A sign's span with its clause and sentence; `covered` are the spans of all signs found in the text."""

    text: str
    start: int
    end: int
    clause: tuple[int, int]
    sentence: tuple[int, int]
    covered: list[tuple[int, int]]

    def is_denied(self) -> bool:
        """没有/no before it, or "…：没有" after it."""
        after = self.text[self.end : self.sentence[1] + 1]
        if cue_words.DENIED_AFTER.match(after):
            return True
        for cue in cue_words.DENIAL.finditer(self.text, self.sentence[0], self.start):
            if self._is_part_of_a_sign(cue.start(), cue.end()):
                continue
            if cue["en"] and not self._english_denial_reaches(cue):
                continue
            if cue["zh"] and not self._chinese_denial_reaches(cue):
                continue
            return True
        return False

    def _chinese_denial_reaches(self, cue: re.Match[str]) -> bool:
        between = self.text[cue.end() : self.start]
        if cue.start() < self.clause[0] or cue_words.TURN.search(between):
            return False
        before = self.text[self.clause[0] : cue.start()]
        asks_either_way = bool(before) and before[-1] == self.text[cue.start() + 1 : cue.start() + 2]  # 有没有, 是不是
        if asks_either_way or cue_words.DENIAL_DENIED.search(before):
            return False
        items = re.split("[、/]", between)
        if len(items) > 1 and all(len(item) <= 7 for item in items) and not re.search(r"[吃喝睡去走来就才]", between):
            return True
        return self._only_fillers(cue.end(), cue_words.DENIAL_FILLERS_ZH)

    def _english_denial_reaches(self, cue: re.Match[str]) -> bool:
        between = self.text[cue.end() : self.start]
        if cue_words.TURN.search(between) or re.search(r"[.]\s", between):
            return False
        if cue_words.DENIAL_DENIED.search(self.text[self.sentence[0] : cue.start()]):
            return False
        if cue[0] == "never" and cue_words.NEVER_LIKE_THIS.match(self.text[self.end : self.sentence[1] + 1]):
            return False
        if "," in between or re.search(r"\band\b", between):
            joined = between + self.text[self.end : self.end + 40]
            if not cue_words.ENGLISH_LIST.search(joined):
                return False
            items = re.split(r",|\bor\b|\bnor\b|\band\b", between)
            return all(len(item.split()) <= 4 for item in items) and not re.search(
                r"\b(?:is|are|was|i|he|she|feel|feels|since|started)\b", " ".join(items[1:])
            )
        if cue_words.ENGLISH_LIST.search(between):
            items = cue_words.ENGLISH_LIST.split(cue_words.DENIAL_FILLERS_EN.sub(" ", between))
            return all(len(item.split()) <= 3 for item in items)
        return self._only_fillers(cue.end(), cue_words.DENIAL_FILLERS_EN)

    def is_cut_short(self) -> bool:
        """ "没有呼吸" inside "没有呼吸困难", "没有意识" inside "没有意识障碍": the longer word is what is denied."""
        return bool(
            cue_words.BEGINS_WITH_DENIAL.match(self.text[self.start : self.end])
            and cue_words.TROUBLE.match(self.text[self.end :])
        )

    def is_conditional(self) -> bool:
        """ "如果出现胸痛", "if I get chest pain": not said to be there."""
        return self._governed_by(cue_words.CONDITIONAL, cue_words.CONDITIONAL_FILLERS)

    def is_general_question(self) -> bool:
        """A question about an illness in general, in a text that speaks of nobody."""
        return bool(cue_words.GENERAL_QUESTION.search(self.text, *self.sentence)) and not cue_words.PERSONAL.search(
            self.text
        )

    def is_suspected(self) -> bool:
        """ "会不会是心梗", "worried it's a stroke": a name for a fear, not a finding."""
        return self._governed_by(cue_words.SUSPICION, cue_words.SUSPICION_FILLERS)

    def is_feared(self) -> bool:
        """ "怕晕倒", "afraid of fainting": feared and not said to have happened ("she fainted", "晕倒了")."""
        words = self.text[self.start : self.end]
        if cue_words.HAPPENED.search(words) or cue_words.HAPPENED_AFTER.match(self.text, self.end):
            return False
        return self._governed_by(cue_words.FEAR, cue_words.FEAR_FILLERS)

    def is_of_relatives(self, patient_relation: str) -> bool:
        """Family history, or an illness heard of; not when the relative is the one who is ill."""
        before = (self.clause[0], self.start)
        if cue_words.FAMILY_HISTORY.search(self.text, *before):
            return True
        if patient_relation == "self" and cue_words.RELATIVE_HAS.search(self.text, *before):
            return True
        return bool(re.match(r"(?:家族史|的家族史|\s*runs in|\s*in (?:my|the|our) family)", self.text[self.end :]))

    def is_past(self, is_condition: bool) -> bool:
        """ "去年心梗过", "had a stroke in 2019": over, and not said to be back."""
        since = self._since_last_turn()
        if cue_words.STILL.search(self.text, since, self.clause[1]) or cue_words.FIRST_TIME.search(
            self.text, since, self.start
        ):
            return False
        after = self.text[self.end :]
        if (
            cue_words.PAST_AFTER.match(after)
            or cue_words.AGO_AFTER.match(after)
            or (is_condition and cue_words.PAST_CONDITION_AFTER.match(after))
        ):
            return True
        return bool(cue_words.PAST.search(self.text[since : self.start]))

    def _since_last_turn(self) -> int:
        """Where the sign's clause begins, or the part of it behind the last "but"."""
        turns = list(cue_words.TURN.finditer(self.text, self.clause[0], self.start))
        return turns[-1].end() if turns else self.clause[0]

    def _governed_by(self, cues: re.Pattern[str], fillers: re.Pattern[str]) -> bool:
        return any(
            self._only_fillers(cue.end(), fillers) for cue in cues.finditer(self.text, self.clause[0], self.start)
        )

    def _only_fillers(self, since: int, fillers: re.Pattern[str]) -> bool:
        """Whether nothing but fillers, list marks and other signs stands between a cue's end and the sign."""
        between = list(self.text[since : self.start])
        for start, end in self.covered:
            if since <= start and end <= self.start:
                between[start - since : end - since] = " " * (end - start)
        rest = fillers.sub("", cue_words.LIST_MARKS.sub(" ", fillers.sub("", "".join(between))))
        return not rest.strip()

    def _is_part_of_a_sign(self, start: int, end: int) -> bool:
        """Whether a denying word belongs to a sign of its own ("can not breathe") that is over before this one begins."""
        return any(other_start <= start and end <= other_end <= self.start for other_start, other_end in self.covered)
