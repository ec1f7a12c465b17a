"""Every config survives being written as YAML and read back."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig
from talkies.config import apply_overrides, check, list_keys, to_yaml
from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig
from talkies.objectives import ObjectiveConfig, WeightPoint
from talkies.sampling import Stage
from talkies.training.config import OptimiserConfig, RunConfig, TrainingConfig
from talkies.transforms import AudioTransformConfig, TransformConfig, VideoTransformConfig

share = st.floats(0, 1)
positive_share = st.floats(0, 1, exclude_min=True)
dims = st.integers(2, 8192)

clips = st.builds(
    ClipConfig,
    frames=st.integers(1, 1024),
    fps=st.integers(1, 120),
    audio_seconds=st.floats(0, 60, exclude_min=True),
)
spectrograms = (
    st.integers(16, 8_192)
    .map(lambda half: 2 * half)
    .flatmap(
        lambda n_fft: st.builds(
            AudioTransformConfig,
            n_fft=st.just(n_fft),
            hop=st.integers(8, n_fft),
            mels=st.integers(8, 512),
            f_min_hz=st.floats(0, 1000),
            scale=st.sampled_from(["log", "db"]),
            gain_db=st.floats(0, 60),
            time_masks=st.integers(1, 100),
            time_mask_frames=st.integers(1),
        )
    )
)
pictures = st.builds(
    VideoTransformConfig,
    size=st.integers(16, 1024),
    crop_area_min=positive_share,
    crop_aspect_max=st.floats(1, 4),
    flip=share,
    brightness=st.floats(0, 4),
    hue=st.floats(0, 0.5),
)
models = st.builds(
    ModelConfig,
    video=st.sampled_from(sorted(VIDEO_ENCODERS)),
    audio=st.sampled_from(sorted(AUDIO_ENCODERS)),
    embedding_dim=dims,
    hidden_dim=dims,
)
at_steps = st.lists(st.integers(1), max_size=3, unique=True).map(sorted)
points = at_steps.flatmap(
    lambda steps: st.tuples(*(st.builds(WeightPoint, at_step=st.just(step), cross_film_weight=share) for step in steps))
)
plain = st.builds(
    dict,
    cross_film_weight=share,
    cross_film_weighs=st.sampled_from(["term", "negatives"]),
    cross_film_schedule=points,
    temperature=st.floats(0.01, 10),
    learn_temperature=st.booleans(),
    mask_nearer_than_seconds=st.just(0.0),
    within_film_positives_seconds=st.just(0.0),
    within_modal_weight=st.floats(0, 10),
    block_clips=st.none() | st.integers(1),
    queue_negatives=st.sampled_from(["own_film", "batch_films"]),
    momentum=st.floats(0, 1, exclude_max=True),
)
losses = st.just({"loss": "infonce"}) | st.builds(
    dict,
    loss=st.just("sigmoid"),
    cross_film_weighs=st.just("negatives"),
    bias=st.floats(-100, 100),
    learn_bias=st.booleans(),
    within_film_weight=st.floats(0.1, 100),
)
agreements = st.just({"agreement": "none"}) | st.builds(
    dict,
    agreement=st.sampled_from(["ignore", "positives"]),
    agreement_share=st.none() | positive_share,
    agreement_threshold=st.floats(-1, 1),
)
objectives = st.builds(
    lambda *parts: ObjectiveConfig(**{key: value for part in parts for key, value in part.items()}),
    plain,
    losses,
    agreements,
)
optimisers = st.builds(
    OptimiserConfig,
    kind=st.sampled_from(["adamw", "sgd", "lars"]),
    momentum=st.floats(0, 1, exclude_max=True),
    beta2=st.floats(0, 1, exclude_max=True),
    max_grad_norm=st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    learning_rate=st.floats(0, exclude_min=True, allow_infinity=False),
    weight_decay=st.floats(0, allow_infinity=False),
    warmup_steps=st.integers(0),
)


@st.composite
def runs(draw: st.DrawFn) -> RunConfig:
    devices = draw(st.integers(1, 64))
    films, clips_per_film = devices * draw(st.integers(1, 100)), draw(st.integers(2, 100))
    dividing = st.sampled_from([k for k in range(2, 101) if films * clips_per_film % k == 0])
    stages = draw(st.lists(st.tuples(st.integers(1), dividing), max_size=3, unique_by=lambda stage: stage[0]))
    sampling = SamplingConfig(
        films_per_batch=films,
        clips_per_film=clips_per_film,
        least_gap_seconds=draw(st.floats(0, allow_infinity=False)),
        widest_window_seconds=draw(st.none() | st.floats(0, exclude_min=True, allow_infinity=False)),
        one_clip_per_shot=draw(st.booleans()),
        film_weights=draw(st.sampled_from(["uniform", "duration"])),
        exclude=tuple(draw(st.sets(st.sampled_from(["black", "silent", "still", "credits"])))),
        positives_within_seconds=draw(st.floats(0, allow_infinity=False)),
        short_films=draw(st.sampled_from(["refuse", "leave_out"])),
        schedule=tuple(Stage(from_step=step, clips_per_film=k) for step, k in sorted(stages)),
    )
    training = TrainingConfig(
        steps=draw(st.integers(1)),
        seed=draw(st.integers(0)),
        log_every=draw(st.integers(1)),
        checkpoint_every=draw(st.integers(1)),
        keep=draw(st.integers(1)),
        device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
        devices=devices,
        best_by=draw(st.sampled_from(["last", "loss", "cross_entropy", "accuracy_within_film", "accuracy_which_film"])),
        strategy=draw(st.sampled_from(["ddp", "fsdp"])),
        precision=draw(st.sampled_from(["32-true", "tf32", "bf16-mixed"])),
        channels_last=draw(st.booleans()),
        compile=draw(st.booleans()),
        activation_checkpointing=draw(st.booleans()),
        sync_batch_norm=draw(st.booleans()),
        recalibration_batches=draw(st.integers(0)),
        chunk_clips=draw(st.none() | st.integers(2)),
        ema_decay=draw(st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True)),
        trackers=tuple(draw(st.sets(st.sampled_from(["tensorboard", "wandb", "mlflow"])))),
    )
    return RunConfig(
        clip=draw(clips),
        sampling=sampling,
        transforms=TransformConfig(video=draw(pictures), audio=draw(spectrograms)),
        model=draw(models),
        objective=draw(objectives),
        optimiser=draw(optimisers),
        training=training,
        loader=LoaderConfig(
            workers=draw(st.integers(0, 256) | st.just("auto")),
            prefetch=draw(st.integers(1, 64)),
            memory_mib=draw(st.integers(0)),
        ),
    )


def said(config: RunConfig, key: str) -> str:
    """Return one value as it is written on a command line: YAML on one line."""
    value: Any = config.model_dump(mode="json")
    for name in key.split("."):
        value = value[name]
    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]


@given(runs())
def test_every_run_config_reads_back_from_its_yaml_as_itself(config: RunConfig) -> None:
    assert check(RunConfig, yaml.safe_load(to_yaml(config)), "the YAML") == config


@given(runs())
def test_every_run_config_can_be_said_in_overrides_alone(config: RunConfig) -> None:
    keys = [key for key in list_keys(RunConfig) if key != "clip.auto"]  # it is said instead of the other keys of a clip
    overrides = [f"{key}={said(config, key)}" for key in keys]
    assert check(RunConfig, apply_overrides({}, overrides, RunConfig), "--set") == config
