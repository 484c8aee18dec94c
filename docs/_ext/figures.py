"""Figures of the gallery: no background, so that they suit a dark page too, and thumbnails one can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import matplotlib_scraper
from sphinx_gallery.utils import scale_image

THUMB_INCHES = (4.0, 2.8)  # of one panel: its text is then about 11 pixels high in a tile
MOST_ENTRIES = 2  # of a legend that a thumbnail has room for


# First what a task needs, then what explains it; pages that are not named come last, by name.
ORDER = (
    *("columns", "over_time", "groups", "map", "noise_floor"),
    *("line", "transport", "dirt", "ground_costs", "parallel_lines", "smoothness"),
    *("anytime", "methods_cost", "entropic_peers", "atlas"),
    *(
        "particle_flow",
        "domain_adaptation",
        "distributional_regression",
        "wasserstein_autoencoder",
        "bellman",
    ),
    *("critic", "wgan", "wgan_losses", "vanishing_gradient", "constraints", "wgan_care"),
    *("wgan_synthetic", "wgan_text_and_series"),
)


class ReadingOrder:
    """Key by which the pages of a section are sorted."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, file_name: str) -> tuple[int, str]:
        name = Path(file_name).stem.removeprefix("plot_")
        return (ORDER.index(name) if name in ORDER else len(ORDER)), name


def transparent(gallery_conf: dict[str, Any], fname: str | None) -> None:
    """Draw the next example on no background."""
    import matplotlib

    matplotlib.rcParams.update({"figure.facecolor": "none", "axes.facecolor": "none"})


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any], **options: Any) -> str:
    """Save the figures of a block, and of the first one of a page a panel as its thumbnail."""
    import matplotlib.pyplot as plt

    numbers = plt.get_fignums()
    first = plt.figure(numbers[0]) if numbers else None
    number = len(block_vars["image_path_iterator"])
    text = matplotlib_scraper(block, block_vars, gallery_conf, **options)
    if first is not None and number == 0:
        target = Path(block_vars["target_file"])
        folder = target.parent / "images" / "panels"
        folder.mkdir(parents=True, exist_ok=True)
        _save_panel(first, folder / f"sphx_glr_{target.stem}_thumb.png")
    return text


def _save_panel(figure: Any, path: Path) -> None:
    """Draw the first panel alone, as small as a thumbnail, so that its text is legible."""
    panel = figure.axes[0]
    for other in (*figure.axes[1:], *figure.legends, *figure.texts):
        other.set_visible(False)
    if figure._suptitle is not None:
        figure._suptitle.set_visible(False)
    legend = panel.get_legend()
    if legend is not None and len(legend.get_texts()) > MOST_ENTRIES:
        legend.set_visible(False)
    if panel.figure is figure:  # and not of a part of it, whose size is not its own
        figure.set_layout_engine("none")
        figure.set_size_inches(THUMB_INCHES)
        panel.set_position((0.16, 0.17, 0.8, 0.7))
    figure.canvas.draw()
    box = panel.get_tightbbox().transformed(figure.dpi_scale_trans.inverted()).padded(0.04)
    figure.savefig(path, dpi=200, bbox_inches=box)


def use_panels(app: Any) -> None:
    """Make thumbnails of the panels; those of pages that are not drawn anew are still there."""
    size = app.config.sphinx_gallery_conf["thumbnail_size"]
    for panel in Path(app.srcdir).glob("gallery/*/images/panels/*.png"):
        scale_image(panel, panel.parents[1] / "thumb" / panel.name, *size)


def setup(app: Any) -> dict[str, bool]:
    """Run after the gallery has been generated, which is done on the same event."""
    app.connect("builder-inited", use_panels, priority=900)
    return {"parallel_read_safe": True}
