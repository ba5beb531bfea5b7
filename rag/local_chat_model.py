"""A chat model in a folder on this machine, in 4 bit where bitsandbytes allows, as LangChain's `BaseChatModel`."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, PrivateAttr

from knowledge.errors import MissingExtra, WriterUnavailable
from rag.quoting import Quotable, quoted

REPETITION_PENALTY = (
    1.05  # where the model's own generation_config.json names none; one that copies its evidence wants 1
)
SMALL = 300_000_000  # parameters
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class LocalChatModel(BaseChatModel):
    """Weights of a folder, with a LoRA adapter where one is named. One answer is written at a time."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model_dir: Path
    adapter_dir: Path | None = None
    four_bit: bool = True
    max_new_tokens: int = 400
    _model: Any = PrivateAttr(default=None)
    _tokenizer: Any = PrivateAttr(default=None)
    _repetition_penalty: float = PrivateAttr(default=REPETITION_PENALTY)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "daozhen-local"

    def load(self) -> LocalChatModel:
        """Reads the weights. Raises MissingExtra without torch, WriterUnavailable where the folder holds no chat model."""
        if self._model is not None:
            return self
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
        except ImportError as fault:
            raise MissingExtra(f"a model on this machine needs {fault.name}: pip install 'daozhen[models]'") from None
        _quiet_loading()
        for folder, needed in ((self.model_dir, "config.json"), (self.adapter_dir, "adapter_config.json")):
            if folder is not None and not (folder / needed).is_file():
                raise WriterUnavailable(
                    f"{folder}: no {needed} there; name the folder that a training run or an export wrote"
                )
        options: dict[str, Any] = {}  # a folder in 4 bit says so itself, and naming nothing is not the same as None
        if self.four_bit and not _is_quantized(self.model_dir):
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            )
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                str(self.adapter_dir if _has_tokenizer(self.adapter_dir) else self.model_dir)
            )
            model: Any = AutoModelForCausalLM.from_pretrained(
                str(self.model_dir), dtype=torch.bfloat16, local_files_only=True, **options
            )
            if self.adapter_dir is not None:
                from peft import PeftModel

                model = PeftModel.from_pretrained(model, str(self.adapter_dir))
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as fault:
            line = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            raise WriterUnavailable(f"{self.model_dir}: cannot be loaded as a chat model ({line})") from None
        if not tokenizer.chat_template:
            raise WriterUnavailable(
                f"{self.model_dir}: its tokenizer has no chat template; use a chat model, or one that `daozhen train` made"
            )
        self._model, self._tokenizer = model.eval(), tokenizer
        self._repetition_penalty = _own_generation(self.model_dir).get("repetition_penalty") or REPETITION_PENALTY
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = "".join(chunk.text for chunk in self._stream(messages, stop, run_manager, **kwargs))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """quoting: the sentences that may be said (rag/quoting.py); in the model's own words without it."""
        if (quotable := kwargs.get("quoting")) is not None:
            yield from self._quoted(messages, quotable)
            return
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

        self.load()
        halted = threading.Event()

        class Halted(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                return torch.full((input_ids.shape[0],), halted.is_set(), device=input_ids.device)

        inputs = self._read_as(messages)
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        faults: list[Exception] = []

        def generate() -> None:
            try:
                with torch.inference_mode(), _few_threads(self._model):
                    self._model.generate(
                        **inputs.to(self._model.device),
                        max_new_tokens=self.max_new_tokens,
                        do_sample=False,
                        repetition_penalty=self._repetition_penalty,
                        streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([Halted()]),
                    )
            except Exception as fault:  # told to the reader of the stream, which runs in another thread
                faults.append(fault)
                streamer.end()

        with self._lock:
            worker = threading.Thread(target=generate, daemon=True, name="generate")
            worker.start()
            try:
                for text in streamer:
                    if text:
                        yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            finally:
                halted.set()
                worker.join()
        if faults:
            raise WriterUnavailable(f"the model failed while it wrote ({type(faults[0]).__name__})")

    def _quoted(self, messages: list[BaseMessage], quotable: Quotable) -> Iterator[ChatGenerationChunk]:
        self.load()
        prompt = self._read_as(messages)["input_ids"][0].tolist()
        with self._lock, _few_threads(self._model):
            try:
                for text in quoted(self._model, self._tokenizer, prompt, quotable):
                    yield ChatGenerationChunk(message=AIMessageChunk(content=text))
            except (RuntimeError, ValueError, IndexError, TypeError) as fault:
                raise WriterUnavailable(f"the model failed while it wrote ({type(fault).__name__})") from None

    def _read_as(self, messages: list[BaseMessage]) -> Any:
        """The messages as the model's template puts them, in tokens."""
        rows = [{"role": _ROLES.get(message.type, "user"), "content": str(message.content)} for message in messages]
        return self._tokenizer.apply_chat_template(
            rows, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )


@contextmanager
def _few_threads(model: Any) -> Iterator[None]:
    """One thread for a small model on the processor: its steps are so short that two threads mostly wait for each other,
    ten times as long as the work itself takes where something else is running."""
    import torch

    usual = torch.get_num_threads()
    if model.device.type == "cpu" and model.num_parameters() < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _quiet_loading() -> None:
    """What the libraries say while they load is for their developers, and a patient's screen stands beside it."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def _is_quantized(folder: Path) -> bool:
    return "quantization_config" in (folder / "config.json").read_text(encoding="utf-8")


def _own_generation(folder: Path) -> dict[str, Any]:
    """What the model's folder says of how it should write."""
    path = folder / "generation_config.json"
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return settings


def _has_tokenizer(folder: Path | None) -> bool:
    return folder is not None and (folder / "tokenizer_config.json").is_file()
