"""A model held to given sentences: whatever its weights, it says those and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from finetune.base_tokenizer import save_chat_tokenizer, train_base_tokenizer  # noqa: E402
from rag.evidence_search import Asked, gather_evidence  # noqa: E402
from rag.gates import Admitted, judge  # noqa: E402
from rag.local_chat_model import LocalChatModel  # noqa: E402
from rag.model_writer import ModelWriter  # noqa: E402
from rag.quoting import MOST_QUOTED, Quotable, quoted  # noqa: E402
from rag.reading_order import telling_sentences  # noqa: E402
from rag.word_for_word import quotable  # noqa: E402
from tests.tiny_chat_model import build_tiny_chat_model  # noqa: E402

ZH = Quotable(("发烧要多休息。[1]", "发烧要多喝水。[1]", "发烧要多喝水。[2]", "去发热门诊。[2]"), "资料不足。")
EN = Quotable(
    ("Rest while you have a fever. [1]", "Rest. [2]", "Rest while you can. [2]", "Drink water. [1]"),
    "NOT IN THE PASSAGES.",
    " ",
)


class Scripted:
    """Writes a given answer, token by token, as far as it is let; then anything."""

    device = "cpu"

    def __init__(self, prompt: list[int], answer: list[int], vocabulary: int) -> None:
        self.script, self.vocabulary = prompt + answer, vocabulary
        self.calls, self.read = 0, 0

    def __call__(self, input_ids, past_key_values, **_):
        assert past_key_values == (None if self.read == 0 else self.read)
        assert input_ids[0].tolist() == self.script[self.read : self.read + input_ids.shape[1]]
        self.calls, self.read = self.calls + 1, self.read + input_ids.shape[1]
        logits = torch.zeros(1, 1, self.vocabulary)
        logits[0, 0, self.script[self.read]] = 1.0
        return SimpleNamespace(past_key_values=self.read, logits=logits)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Blanks in the token behind them as in most models, and in the token before them as in a base from scratch."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizers")
    texts = [*ZH.sentences, *EN.sentences] * 3
    build_tiny_chat_model(folder / "behind", texts)
    save_chat_tokenizer(train_base_tokenizer(texts, 400), folder / "before", 512)
    return {name: AutoTokenizer.from_pretrained(folder / name) for name in ("behind", "before")}


@pytest.mark.parametrize("name", ["behind", "before"])
@pytest.mark.parametrize("options", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 1, 2, 0)])
def test_sentences_come_in_the_order_the_model_would_say_them_in(tokenizers, name, options, order):
    tokenizer = tokenizers[name]
    answer = options.gap.join(options.sentences[place] for place in order)
    prompt = [5, 6, 7]
    script = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    model = Scripted(prompt, script, len(tokenizer))
    assert "".join(quoted(model, tokenizer, prompt, options)) == answer
    assert model.calls <= 4 * (len(order) + 1) + 2


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_knows_nothing_says_given_sentences_each_once(tmp_path, seed):
    folder = build_tiny_chat_model(tmp_path / "model", [*ZH.sentences, *EN.sentences], seed=seed)
    model = LocalChatModel(model_dir=folder, four_bit=False)
    for options in (ZH, EN):
        text = model.invoke("How do I sleep?", quoting=options).content
        left = text
        for _ in range(MOST_QUOTED):
            found = next((one for one in options.sentences if left.startswith(one)), None)
            left = left.removeprefix(found or "").removeprefix(options.gap)
        assert text and not left
        assert all(text.count(one) <= 1 for one in options.sentences)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(alphabet="ab 休息。.[1]", min_size=1, max_size=8), min_size=1, max_size=6),
    st.integers(0, 3),
)
def test_any_sentences_at_all_come_back_whole(tokenizers, texts, seed):
    sentences = tuple(f"{text.strip()}x[1]" for text in texts)
    options = Quotable(sentences, "no.", " ")
    count = min(MOST_QUOTED, len(set(sentences)))
    generator = torch.Generator().manual_seed(seed)

    def anything(input_ids, past_key_values, **_):
        return SimpleNamespace(past_key_values=1, logits=torch.rand(1, 1, 400, generator=generator))

    anything.device = "cpu"
    for tokenizer in tokenizers.values():
        said = list(quoted(anything, tokenizer, [3], options))
        whole = {gap + one for one in sentences for gap in ("", options.gap)}
        assert set(said) <= whole and len(said) == count


def test_where_nothing_may_be_said_that_is_said(tokenizers):
    assert list(quoted(None, tokenizers["before"], [3], Quotable((), "NOT IN THE PASSAGES."))) == [
        "NOT IN THE PASSAGES."
    ]


def test_a_writer_held_to_the_passages_says_nothing_the_gates_refuse(tmp_path, assistant):
    evidence = gather_evidence(Asked.alone("高血压患者每天能吃多少盐", "zh"), assistant.search.current(), 6)
    folder = build_tiny_chat_model(tmp_path / "model", [passage.text for passage in evidence.allowed().values()])
    model = LocalChatModel(model_dir=folder, four_bit=False)
    writer = ModelWriter(model, "tiny", remote=False, seconds=60, word_for_word=True)
    drafts = list(writer.write(evidence))
    options = quotable(evidence, telling_sentences(evidence))
    assert options.sentences and len(set(options.sentences)) == len(options.sentences)
    for draft in drafts:
        judged = judge(draft, evidence)
        assert isinstance(judged, Admitted) and judged.sentence is draft
