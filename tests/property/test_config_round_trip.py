from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig
from talkies.config import apply_overrides, check, known_keys, to_yaml
from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig
from talkies.objectives import ObjectiveConfig
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
            AudioTransformConfig, n_fft=st.just(n_fft), hop=st.integers(8, n_fft), mels=st.integers(8, 512)
        )
    )
)
pictures = st.builds(VideoTransformConfig, size=st.integers(16, 1024), crop_area_min=positive_share, flip=share)
models = st.builds(
    ModelConfig,
    video=st.sampled_from(sorted(VIDEO_ENCODERS)),
    audio=st.sampled_from(sorted(AUDIO_ENCODERS)),
    embedding_dim=dims,
    hidden_dim=dims,
)
objectives = st.builds(
    ObjectiveConfig, cross_film_weight=share, temperature=st.floats(0.01, 10), learn_temperature=st.booleans()
)
optimisers = st.builds(
    OptimiserConfig,
    learning_rate=st.floats(0, exclude_min=True, allow_infinity=False),
    weight_decay=st.floats(0, allow_infinity=False),
    warmup_steps=st.integers(0),
)


@st.composite
def runs(draw: st.DrawFn) -> RunConfig:
    devices = draw(st.integers(1, 64))
    sampling = SamplingConfig(
        films_per_batch=devices * draw(st.integers(1, 100)),
        clips_per_film=draw(st.integers(2, 100)),
        least_gap_seconds=draw(st.floats(0, allow_infinity=False)),
    )
    training = TrainingConfig(
        steps=draw(st.integers(1)),
        seed=draw(st.integers(0)),
        log_every=draw(st.integers(1)),
        checkpoint_every=draw(st.integers(1)),
        keep=draw(st.integers(1)),
        device=draw(st.sampled_from(["auto", "cpu", "cuda"])),
        devices=devices,
        precision=draw(st.sampled_from(["32-true", "bf16-mixed"])),
    )
    return RunConfig(
        clip=draw(clips),
        sampling=sampling,
        transforms=TransformConfig(video=draw(pictures), audio=draw(spectrograms)),
        model=draw(models),
        objective=draw(objectives),
        optimiser=draw(optimisers),
        training=training,
        loader=LoaderConfig(workers=draw(st.integers(0, 256)), prefetch=draw(st.integers(1, 64))),
    )


def single_value(config: RunConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


@given(runs())
def test_every_run_config_reads_back_from_its_yaml_as_itself(config: RunConfig) -> None:
    assert check(RunConfig, yaml.safe_load(to_yaml(config)), "the YAML") == config


@given(runs())
def test_every_run_config_can_be_said_in_overrides_alone(config: RunConfig) -> None:
    overrides = [f"{key}={yaml.safe_dump(single_value(config, key)).splitlines()[0]}" for key in known_keys(RunConfig)]
    assert check(RunConfig, apply_overrides({}, overrides, RunConfig), "--set") == config
