"""What the scorers of learned routing read: clauses that stay with their dialogue, names said in part."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from scipy.sparse import csr_matrix, vstack

from rag.case_features import CaseFeatures
from rag.learned_scorers import Dialogues, Scorers

LABELS = ("口腔麻醉", "口腔修复", "牙周病")
DIALOGUES = [
    "患者：牙龈出血，牙松了\n医生：多久了？",
    "患者：假牙松了，咬不动\n医生：什么时候装的？",
    "患者：怕打针，想睡着拔牙\n医生：会安排麻醉方面的检查。",
    "患者：牙龈出血，假牙松了，咬不动",
]
RIGHT = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=float)


def read(texts: list[str]) -> Dialogues:
    features = CaseFeatures.fit(DIALOGUES * 6, LABELS)
    return features.dialogues(features.words(), texts, np.zeros((len(texts), 2)))


def test_a_clause_stays_with_its_dialogue_when_dialogues_are_chosen():
    everything = read(DIALOGUES)
    chosen = everything.rows(np.array([3, 0]))
    of = {place: [n for n, owner in enumerate(everything.owners) if owner == place] for place in (3, 0)}
    for new, old in enumerate((3, 0)):
        assert (chosen.clauses[chosen.owners == new] != everything.clauses[of[old]]).nnz == 0


def test_a_name_said_in_part_speaks_for_the_department_it_tells_apart():
    said = read(DIALOGUES).mentions[2]
    assert said[0, 1] == 0  # the whole name was not said
    assert said[0, 2] > 0.3 > said[1, 2] == said[2, 2] == 0


def test_each_of_several_departments_is_told_by_a_clause_of_its_own():
    many = read(DIALOGUES * 6)
    scores = Scorers.fit(many, np.tile(RIGHT, (6, 1))).scores(read(["患者：牙龈出血，假牙松了，咬不动"]))
    assert scores.best_clause[0, 1] > scores.best_clause[0, 0] < scores.best_clause[0, 2]
    assert scores.several[0] > Scorers.fit(many, np.tile(RIGHT, (6, 1))).scores(read(["患者：怕打针"])).several[0]


def test_a_dialogue_without_any_known_word_gets_finite_scores():
    many = read(DIALOGUES * 6)
    scores = Scorers.fit(many, np.tile(RIGHT, (6, 1))).scores(read(["???", "x"]))
    assert all(np.isfinite(part).all() for part in vars(scores).values())


def test_routing_without_solved_cases_never_loads_scikit_learn():
    code = (
        "import sys, rag.assistant, rag.learned_store, rag.learned_routing, pathlib;"
        "assert rag.learned_store.stored(pathlib.Path('/nonexistent')) is None;"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dialogues_keep_their_shape_when_none_is_chosen():
    empty = Dialogues(csr_matrix((2, 3)), vstack([csr_matrix((1, 3))] * 2), np.array([0, 1]), np.zeros((2, 1, 5)))
    assert empty.rows(np.array([], dtype=int)).matrix.shape == (0, 3)
