"""Packages that only some commands need, and the extra of talkies that installs each."""

_EXTRAS = {  # the name that Python imports: what it is called on PyPI, and the extra
    "fastapi": ("FastAPI", "serve"),
    "starlette": ("Starlette", "serve"),
    "uvicorn": ("Uvicorn", "serve"),
    "anyio": ("AnyIO", "serve"),
    "python_multipart": ("python-multipart", "serve"),
    "sklearn": ("scikit-learn", "evaluate"),
    "joblib": ("joblib", "evaluate"),
    "scipy": ("SciPy", "evaluate"),
    "matplotlib": ("Matplotlib", "evaluate"),
    "transformers": ("transformers", "encoders"),
    "huggingface_hub": ("transformers", "encoders"),
    "peft": ("PEFT", "encoders"),
    "onnx": ("ONNX", "onnx"),
    "onnxruntime": ("ONNX Runtime", "onnx"),
}


def explain_missing_package(error: ModuleNotFoundError) -> str | None:
    """Return the sentence that says which extra installs a missing package; None if no extra of talkies has it."""
    name = (error.name or "").partition(".")[0]
    if name not in _EXTRAS:
        return None
    package, extra = _EXTRAS[name]
    return f"this needs {package}, which is not installed; install it with: pip install 'talkies[{extra}]'"
