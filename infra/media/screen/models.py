"""The PP-OCR models that the package `rapidocr` contains.

They are run directly: of the package only the files are used, since its code would load OpenCV and
pads every line to 320 columns, which triples the cost of a score.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PACKAGE: Final = "rapidocr"
RECOGNITION: Final = "models/*_rec_*.onnx"
DETECTION: Final = "models/*_det_*.onnx"


class TextRecognitionError(Exception):
    """No text can be recognized on this machine; the message says why and what to do."""


def model_file(pattern: str) -> Path:
    """Return a model's path.

    Raises:
        TextRecognitionError: the package is not installed or contains no model.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise TextRecognitionError(f"the package {_PACKAGE} is not installed: install it")
    found = sorted(Path(spec.origin).parent.glob(pattern))
    if not found:
        raise TextRecognitionError(
            f"the package {_PACKAGE} contains no model {pattern}: reinstall the locked version"
        )
    return found[0]


def open_model(model: Path) -> InferenceSession:
    """Load a model, to run on one thread.

    Raises:
        TextRecognitionError: the model is missing or damaged.
    """
    import onnxruntime  # noqa: PLC0415 - 25 MB that only a child that reads text needs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # An arena would keep the memory of the largest picture for ever.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own errors derive from Exception
        raise damaged(model, error) from error


def damaged(model: Path, error: Exception) -> TextRecognitionError:
    """Return the error of a model that cannot be loaded."""
    return TextRecognitionError(
        f"the model {model.name} cannot be loaded ({str(error)[:120]}): "
        f"reinstall the package {_PACKAGE}"
    )
