"""Model folders: the network, its card, and the hash that pins it.

A model is a folder with ``model.xml`` and ``model.bin`` (OpenVINO), ``card.json`` and, where it is
shipped for further training, ``model.pt``. The IR is data for OpenVINO; a .pt file is code and is
never opened here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cda_db.errors import ModelError, NotFoundError

SHIPPED = Path(__file__).parent / "weights"
CARD_KEYS = (
    "name",
    "architecture",
    "weights_sha256",
    "threshold",
    "diameter_factor",
    "min_box_px",
    "tile",
)


@dataclass(frozen=True)
class ModelFiles:
    """A detector on disk.

    Attributes:
        name: from the card.
        xml, bin: the OpenVINO network.
        pt: the torch checkpoint it was made from, or None.
        card: the model card; ``CARD_KEYS`` are always there. ``threshold`` is the score chosen on
            validation data (``thresholds``, where the card has it, holds those of instruments,
            ``elevation_threshold`` is that for shaded elevation models), ``diameter_factor`` the
            rim diameter over sqrt(w h) of a box, ``min_box_px`` the smallest box worth keeping,
            ``tile`` the tile side in pixels.
        sha256: hash over the bytes of xml and bin.
    """

    name: str
    xml: Path
    bin: Path
    pt: Path | None
    card: dict[str, Any]
    sha256: bytes

    def threshold_for(self, instrument: str | None) -> float:
        """The score chosen for pictures of an instrument; the general one where it has none."""
        own = self.card.get("thresholds", {})
        return float(own.get(instrument, self.card["threshold"]))


def weights_sha256(xml: Path, binary: Path) -> bytes:
    """SHA-256 over the network's two files, xml first."""
    return hashlib.sha256(xml.read_bytes() + binary.read_bytes()).digest()


def shipped_models() -> list[str]:
    """Names of the models that come with the project, sorted."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/card.json"))


def default_model_name() -> str:
    """The model that is used when none is named: the one whose card says ``"default": true``.

    Raises:
        ModelError: none or several do.
    """
    names = [n for n in shipped_models() if _read_card(SHIPPED / n / "card.json").get("default")]
    if len(names) != 1:
        raise ModelError(
            f"{len(names)} shipped models call themselves the default.", "Name one: --model NAME."
        )
    return names[0]


def find_model(name_or_path: str | Path) -> ModelFiles:
    """A shipped model by name, or any model folder by path; its weights are checked.

    Raises:
        NotFoundError: no such model.
        ModelError: files are missing, or the weights are not those that the card was written for.
    """
    folder = SHIPPED / str(name_or_path)
    if str(name_or_path) not in shipped_models():
        folder = Path(name_or_path)
    if not (folder / "card.json").is_file():
        raise NotFoundError(
            f"No model {str(name_or_path)!r}.",
            f"Use one of {', '.join(shipped_models())}, or the path of a model's folder.",
        )
    xml, binary, pt = folder / "model.xml", folder / "model.bin", folder / "model.pt"
    if not xml.is_file() or not binary.is_file():
        raise ModelError(f"{folder} lacks model.xml or model.bin.", "Run: cda model export.")
    card = _read_card(folder / "card.json")
    digest = weights_sha256(xml, binary)
    if digest.hex() != card["weights_sha256"]:
        raise ModelError(
            f"The weights in {folder} are not those of its card "
            f"({digest.hex()[:12]} instead of {str(card['weights_sha256'])[:12]}).",
            "Restore the files, or export the model again.",
        )
    return ModelFiles(str(card["name"]), xml, binary, pt if pt.is_file() else None, card, digest)


def own_precision(model: ModelFiles) -> Literal["f32", "int8"]:
    """``int8`` for a model that was quantised (its card says so), else ``f32``."""
    return "int8" if model.card.get("precision") == "int8" else "f32"


def find_with_precision(name_or_path: str | Path, precision: str) -> ModelFiles:
    """The model itself, or for ``int8`` the quantised one beside it, whose name ends in ``_int8``.

    Raises:
        NotFoundError: as ``find_model``.
        ModelError: as ``find_model``; or the quantised one was made from other weights.
    """
    name = str(name_or_path)
    if precision != "int8" or name.endswith("_int8"):
        return find_model(name)
    parent, quantised = find_model(name), find_model(f"{name}_int8")
    if quantised.card["made_from"]["weights_sha256"] != parent.sha256.hex():
        raise ModelError(
            f"{quantised.name} was made from other weights than those of {parent.name}.",
            "Make it again: cda model export --to openvino-int8.",
        )
    return quantised


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ModelError(f"{path} is not JSON ({error}).", "Restore the card.") from error
    missing = [key for key in CARD_KEYS if not isinstance(card, dict) or key not in card]
    if missing:
        raise ModelError(f"{path} lacks {', '.join(missing)}.", "Restore the card.")
    return dict(card)
