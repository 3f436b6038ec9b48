"""The page: one HTML file that holds everything it shows."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..study.findings.numbers import brief
from .answer import answer, rule_settings, tuned_settings
from .files import need, write_whole
from .markup import cite, code, equations
from .pictures import Panel, View, found
from .words import Measure, duration, leads, mattered, share, significant

if TYPE_CHECKING:
    from ..problems import Setting
    from ..study.result import Result, RuleResult

# The page's sections, in the order they are told; a picture names the one it belongs to.
_SECTIONS = {
    "ranking": "Ranking",
    "differences": "Differences",
    "learning": "Learning",
    "speed": "Speed and cost",
    "tuning": "Tuning",
    "importance": "Which hyper-parameters mattered",
    "rules": "The rules",
    "measured": "How this was measured",
    "more": "More pictures",
}
_MOST_REASONS = 100
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Numbered:
    """A panel with its place in the page's data."""

    number: int
    panel: Panel


@dataclass(frozen=True)
class Group:
    """Neighbouring panels under one heading."""

    name: str
    panels: list[Numbered]


@dataclass(frozen=True)
class Drawing:
    """A picture that has been drawn, ready for the template."""

    title: str
    section: str
    caption: str
    buttons: tuple[str, ...]
    groups: list[Group]


def write(result: Result, path: Path | str) -> Path:
    """Write the report of a result: one self-contained HTML file, whole or not at all. Returns its path.

    Raises `InputError` when the path cannot be written or a package of `fallline[report]` is missing.
    """
    text = page(result)
    return write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))


def page(result: Result) -> str:
    """The report's HTML."""
    jinja2, markupsafe = need("jinja2"), need("markupsafe")
    safe = markupsafe.Markup
    view = View.of(result)
    measure = view.measure
    drawings = _draw(view)
    sections = {drawing.section for drawing in drawings}
    contents = [(id, title) for id, title in _SECTIONS.items() if _told(id, result, sections)]
    plotly = need("plotly.offline").get_plotlyjs()
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    said = answer(result, measure)
    reasons = [r for rule in result.rules for r in (*rule.search, *rule.tuned, *rule.default) if r.diverged]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    values = {
        "result": result,
        "view": view,
        "measure": measure,
        "answer": said,
        "snippet": snippet(said.winner) if said.winner else "",
        "drawings": drawings,
        "sections": sections,
        "contents": contents,
        "digits": measure.digits(rule.test_metric for rule in result.rules),
        "leads": leads(result),
        "loss": Measure("loss", False),
        "loss_digits": Measure("loss", False).digits(rule.test_loss for rule in result.rules),
        "lead_digits": measure.digits(difference.estimate for difference in leads(result)),
        "target_digits": _target_digits(result.target, measure.percent),
        "seeds": f"{result.seeds} fresh seed" + "s" * (result.seeds != 1),
        "tuned": {rule.name: tuned_settings(rule) for rule in result.rules},
        "lost": {rule.name: _lost(rule) for rule in result.rules},
        "pruned": {rule.name: _count(rule, "pruned") for rule in result.rules if any(t.pruned for t in rule.search)},
        "step_share": _shares({rule.name: rule.step_seconds for rule in result.rules}),
        "equations": {rule.name: equations(rule.equation) for rule in result.rules},
        "facts": _facts(result),
        "reasons": reasons[:_MOST_REASONS],
        "more_reasons": len(reasons) - len(reasons[:_MOST_REASONS]),
        "mattered": {rule.name: mattered(rule) for rule in result.rules if rule.search and rule.axes},
        "measured": any(each.relevance for rule in result.rules if rule.search for each in rule.importance),
        "share": share,
        "brief": brief,
        "duration": duration,
        "significant": significant,
        "cite": cite,
        "code": code,
        "css": safe((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        "js": safe(script),
        "plotly": safe(plotly),
        "panels_json": safe(_json([{"traces": p.traces, "layout": p.layout} for p in _panels(drawings)])),
        "policy": _policy(plotly, script),
    }
    text: str = environment.get_template("page.html").render(values)
    return text


def snippet(rule: RuleResult) -> str:
    """Python to paste: the rule's optimizer with its tuned settings, rounded to four digits."""
    from ..optim import call

    settings = {name: _rounded(value) for name, value in rule_settings(rule).items()}
    line = f"optimizer = {call(rule.rule, settings, 'model.parameters()')}"
    own = ", ".join(f"{name}={_short(value)!r}" for name, value in (rule.tuned[0].own if rule.tuned else {}).items())
    comment = f"# with the problem's own: {own}\n" if own else ""
    return f"import fallline\n\n{comment}{line}\n"


def _short(value: Setting) -> Setting:
    return _rounded(value) if isinstance(value, float) else value


def _rounded(value: float) -> float:
    """Four significant digits; near one, of what is missing to one."""
    return round(1 - float(f"{1 - value:.4g}"), 12) if 0.9 <= value < 1 else float(f"{value:.4g}")


def _draw(view: View) -> list[Drawing]:
    number = count()
    drawings = []
    for picture in found():
        panels = picture.draw(view)
        if not panels:
            continue
        groups = [
            Group(name, [Numbered(next(number), panel) for panel in members])
            for name, members in groupby(panels, key=lambda panel: panel.group)
        ]
        buttons = tuple(dict.fromkeys(name for panel in panels for name in panel.buttons))
        section = picture.section if picture.section in _SECTIONS else "more"
        title, caption = (text.format(metric=view.measure.name) for text in (picture.title, picture.caption))
        caption = " ".join(dict.fromkeys([caption, *(panel.note for panel in panels if panel.note)]))
        drawings.append(Drawing(title, section, caption, buttons, groups))
    return drawings


def _panels(drawings: Iterable[Drawing]) -> list[Panel]:
    return [each.panel for drawing in drawings for group in drawing.groups for each in group.panels]


def _told(section: str, result: Result, drawn: set[str]) -> bool:
    if section == "differences":
        return bool(leads(result))
    if section == "importance":
        return any(rule.search and rule.axes for rule in result.rules)
    return section in drawn or section not in ("learning", "tuning", "more")


def _json(value: Any) -> str:
    """JSON that is safe inside a script element, with null for what is not finite."""
    text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _policy(*scripts: str) -> str:
    """A content policy: the page may load nothing, and run its own scripts only."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data: blob:"


def _lost(rule: RuleResult) -> str:
    if not rule.search:
        return "–"
    return _count(rule, "diverged")


def _count(rule: RuleResult, state: str) -> str:
    return f"{sum(record.state == state for record in rule.search)} of {len(rule.search)}"


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    known = [value for value in values.values() if math.isfinite(value)]
    top = max(known, default=0.0) or 1.0
    return {name: value / top if math.isfinite(value) else 0.0 for name, value in values.items()}


def _target_digits(target: float | None, percent: bool) -> int:
    text = f"{(target or 0) * (100 if percent else 1):.4g}"
    return len(text.partition(".")[2]) if "e" not in text else 6


def _facts(result: Result) -> list[tuple[str, str]]:
    study = result.study
    facts = [
        ("Problem", result.problem_name),
        ("Budget", f"{result.trials} search trials and {result.seeds} fresh seeds a rule"),
        ("Search", result.sampler + (f", pruned by {result.pruner}" if result.pruner != "none" else "")),
        *((str(name).replace("_", " ").capitalize(), _plain(value)) for name, value in study.problem.items()),
        ("Machine", _plain(study.machine)),
        ("Versions", _plain(study.versions)),
        ("Study", f"{study.id}, started {_moment(study.created)}, seed {study.seed}"),
    ]
    return [(name, value) for name, value in dict(facts).items() if value]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(_entry(name, item) for name, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _entry(name: str, value: Any) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        name, value = name.removesuffix("_bytes"), f"{value / 2**30:.1f} GiB"
    return f"{name.replace('_', ' ')} {_plain(value)}"


def _moment(text: str) -> str:
    """An ISO time to the minute; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = " UTC" if moment.utcoffset() == timedelta(0) else f"{moment:%z}"
    return f"{moment:%Y-%m-%d %H:%M}{zone}"
