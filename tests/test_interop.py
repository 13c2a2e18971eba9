"""A noisy analog model under the tools that people train with: the bits of a plain loop in torch."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

import mho
from mho.algorithms import ResidualLearning

HARDWARE = mho.Crossbar(
    algorithm=ResidualLearning(fast_lr=0.1),
    device=mho.Device(sigma_c2c=0.3),
    mapping=mho.Mapping(max_in=8, omega=0.5),
)
LR, CLIP, MICRO_BATCHES, STEPS = 0.1, 0.5, 2, 6


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None,
        reason=f"{package} is not installed: pip install 'mho[interop]'",
    )


pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # of these tools


class Classifier(nn.Module):
    """Two analog layers, layer norm and a digital head; called as the models of transformers are."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 9), nn.LayerNorm(9), nn.Tanh(), nn.Linear(9, 8), nn.Tanh())
        self.head = nn.Linear(8, 3)

    def forward(self, x, labels):
        logits = self.head(self.body(x))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def fresh():
    """Model, optimizer and scheduler."""
    torch.manual_seed(0)
    model = mho.convert_(Classifier(), {"body.*": HARDWARE})
    optimizer = mho.AnalogOptimizer(model, lr=LR, digital=torch.optim.AdamW, weight_decay=0.01)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)


def data():
    """One micro-batch after the other."""
    g = torch.Generator().manual_seed(1)
    n = STEPS * MICRO_BATCHES * 4
    x, labels = torch.randn(n, 10, generator=g), torch.randint(0, 3, (n,), generator=g)
    return [{"x": a, "labels": b} for a, b in zip(x, labels, strict=True)]


def batches():
    return torch.utils.data.DataLoader(data(), batch_size=4)


def plain(autocast=None, inputs=torch.float32):
    """What each tool has to do: the model after a training, and its losses."""
    model, optimizer, scheduler = fresh()
    losses = []
    for n, batch in enumerate(batches(), 1):
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            loss = model(batch["x"].to(inputs), batch["labels"])["loss"]
        losses.append(loss.item())
        (loss / MICRO_BATCHES).backward()
        if n % MICRO_BATCHES == 0:
            clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
    assert sum(count.up + count.down for count in mho.pulse_report(model)) > 1000
    return model, losses


def assert_same(model, expected):
    found, wanted = model.state_dict(), expected.state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


# Lightning Fabric.


def fabric_run(fabric, batches, state):
    losses = []
    for n, batch in enumerate(batches, 1):
        loss = state["model"](**batch)["loss"]
        losses.append(loss.item())
        fabric.backward(loss / MICRO_BATCHES)
        if n % MICRO_BATCHES == 0:
            fabric.clip_gradients(state["model"], state["optimizer"], max_norm=CLIP)
            state["optimizer"].step()
            state["optimizer"].zero_grad()
            state["scheduler"].step()
    return losses


def fabric_state(fabric):
    model, optimizer, scheduler = fresh()
    model, optimizer = fabric.setup(model, optimizer)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


@needs("lightning_fabric")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_fabric(precision, tmp_path):
    """Clipping, a checkpoint in the middle, and mixed precision, for which Fabric also rounds the inputs."""
    from lightning_fabric import Fabric

    expected, losses = plain(*[torch.bfloat16] * 2 if precision == "bf16-mixed" else ())
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    parts = list(fabric.setup_dataloaders(batches()))
    half = len(parts) // 2
    state = fabric_state(fabric)
    assert fabric_run(fabric, parts[:half], state) == losses[:half]
    fabric.save(tmp_path / "state.ckpt", state)
    other = fabric_state(fabric)
    fabric.load(tmp_path / "state.ckpt", other)
    for parts_of in (state, other):
        assert fabric_run(fabric, parts[half:], parts_of) == losses[half:]
        assert_same(parts_of["model"].module, expected)


# accelerate.


@needs("accelerate")
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_accelerate(precision, tmp_path):
    """Accumulation, clipping, a scheduler, and its checkpoint (safetensors) in the middle."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    def prepared():
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(
            cpu=True, gradient_accumulation_steps=MICRO_BATCHES, mixed_precision=precision
        )
        return accelerator, *accelerator.prepare(*fresh(), batches())

    def run(accelerator, model, optimizer, scheduler, parts):
        losses = []
        for batch in parts:
            with accelerator.accumulate(model):
                loss = model(**batch)["loss"]
                losses.append(loss.item())
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), CLIP)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        return losses

    expected, losses = plain(torch.bfloat16 if precision == "bf16" else None)
    accelerator, *trained, loader = prepared()
    assert run(accelerator, *trained, loader) == losses
    assert_same(accelerator.unwrap_model(trained[0]), expected)

    half = len(loader) // 2
    accelerator, *trained, loader = prepared()
    run(accelerator, *trained, list(loader)[:half])
    accelerator.save_state(tmp_path)
    accelerator, *trained, loader = prepared()
    accelerator.load_state(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    assert run(accelerator, *trained, accelerator.skip_first_batches(loader, half)) == losses[half:]
    assert_same(accelerator.unwrap_model(trained[0]), expected)


# The Trainer of transformers.


def trainer_of(model, optimizer, scheduler, folder, **options):
    from accelerate.state import AcceleratorState
    from transformers import Trainer, TrainingArguments

    AcceleratorState._reset_state(reset_partial_state=True)
    options = {"max_steps": STEPS, "save_strategy": "no"} | options
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=MICRO_BATCHES,
        max_grad_norm=CLIP,
        train_sampling_strategy="sequential",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **options,
    )
    return Trainer(model, arguments, train_dataset=data(), optimizers=(optimizer, scheduler))


@pytest.fixture(autouse=True)
def no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")


@needs("transformers")
@pytest.mark.parametrize("precision", [{}, {"bf16": True}], ids=["float32", "bf16"])
def test_trainer(precision, tmp_path):
    """Accumulation, clipping, its logged norms, a checkpoint (safetensors), and a resumed run."""
    expected, losses = plain(torch.bfloat16 if precision else None)
    parts = fresh()
    trainer = trainer_of(*parts, tmp_path, save_strategy="steps", save_steps=STEPS // 2, **precision)
    trainer.train()
    assert_same(parts[0], expected)
    logged = [line for line in trainer.state.log_history if "grad_norm" in line]
    steps = [sum(losses[n : n + MICRO_BATCHES]) / MICRO_BATCHES for n in range(0, len(losses), MICRO_BATCHES)]
    assert [line["loss"] for line in logged] == pytest.approx(steps, abs=1e-4)
    assert any(line["grad_norm"] > CLIP for line in logged), "it must have clipped"
    assert (tmp_path / f"checkpoint-{STEPS // 2}" / "model.safetensors").exists()
    others = fresh()
    trainer = trainer_of(*others, tmp_path, **precision)
    trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{STEPS // 2}"))
    assert_same(others[0], expected)


# Models of transformers.

SMALL = {"vocab_size": 30, "max_position_embeddings": 12}


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SMALL, **size, **no_dropout, num_labels=3))


def sentences():
    g = torch.Generator().manual_seed(2)
    tokens, labels = torch.randint(0, 30, (STEPS * MICRO_BATCHES * 4, 7), generator=g), torch.arange(3)
    return [{"input_ids": row, "labels": labels[row.sum() % 3]} for row in tokens]


@needs("transformers")
def test_bert_in_the_trainer_with_activation_checkpoints(tmp_path):
    """The recomputation of a checkpointed layer draws the noise of the first time: the bits of a run without."""
    trained = []
    for checkpointing in (False, True):
        model = mho.convert_(bert(), {"bert.encoder.*": HARDWARE})
        optimizer = mho.AnalogOptimizer(model, lr=0.05)
        trainer = trainer_of(
            model,
            optimizer,
            torch.optim.lr_scheduler.LinearLR(optimizer),
            tmp_path / str(checkpointing),
            gradient_checkpointing=checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            save_strategy="steps",
            save_steps=STEPS,
        )
        trainer.train_dataset = sentences()
        trainer.train()
        trained.append(model)
    plain, saving = trained
    assert saving.is_gradient_checkpointing
    analog = [m for m in plain.modules() if isinstance(m, mho.nn.AnalogLinear)]
    assert len(analog) == 2 * 6
    assert sum(count.up + count.down for count in mho.pulse_report(plain)) > 1000
    assert_same(saving, plain)
    other = mho.convert_(bert(), {"bert.encoder.*": HARDWARE})
    trainer = trainer_of(other, *fresh()[1:], tmp_path)
    trainer._load_from_checkpoint(str(tmp_path / "True" / f"checkpoint-{STEPS}"))
    assert_same(other, plain)


@needs("transformers")
def test_gpt2_in_the_trainer(tmp_path):
    """Its Conv1D layers, its head and the embedding that is tied to it: a checkpoint, and a resumed run."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = {"n_embd": 16, "n_layer": 2, "n_head": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

    def trainer(folder):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(
            GPT2Config(vocab_size=30, n_positions=12, bos_token_id=0, eos_token_id=0, **size)
        )
        mho.convert_(model, HARDWARE)
        optimizer = mho.AnalogOptimizer(model, lr=0.05)
        parts = model, optimizer, torch.optim.lr_scheduler.LinearLR(optimizer), folder
        made = trainer_of(*parts, save_strategy="steps", save_steps=STEPS // 2)
        made.train_dataset = [{"input_ids": s["input_ids"], "labels": s["input_ids"]} for s in sentences()]
        return made

    whole, resumed = trainer(tmp_path / "whole"), trainer(tmp_path / "resumed")
    whole.train()
    assert sum(isinstance(m, mho.nn.AnalogTransposedLinear) for m in whole.model.modules()) == 2 * 4
    assert whole.model.lm_head.matrix is whole.model.transformer.wte.matrix
    assert sum(count.up + count.down for count in mho.pulse_report(whole.model)) > 1000
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{STEPS // 2}"))
    assert_same(resumed.model, whole.model)


# The page that says so.

PAGE = (Path(__file__).parents[1] / "docs" / "pytorch.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
PACKAGES = {
    "Lightning Fabric": "lightning_fabric",
    "accelerate": "accelerate",
    "The Trainer of transformers": "transformers",
}


@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=needs(PACKAGES.get(name, "torch"))) for name in SECTIONS]
)
def test_code_of_the_page(section, tmp_path):
    if section in ("accelerate", "The Trainer of transformers"):
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
    model, optimizer, scheduler = fresh()
    names = {"torch": torch, "mho": mho, "model": model, "optimizer": optimizer, "scheduler": scheduler}
    names |= {"batches": batches(), "data": data(), "folder": str(tmp_path), **next(iter(batches()))}
    exec(SECTIONS[section], names)


def test_the_page_has_all_its_code():
    assert len(SECTIONS) == PAGE.count("```python") == 8
