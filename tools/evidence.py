#!/usr/bin/env python3
"""Tables (Markdown) and figures (SVG) from the results of tools/reproduce.sh: tools/evidence.py OUT PART.

Reads what the parts left in OUT, writes OUT/PART.md and OUT/PART….svg. Values over several seeds are means with their
smallest and largest value. Needs Python's standard library only.
"""
import json
import math
import re
import sys
from pathlib import Path

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#666666"]
WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60


def read(path):
    return json.loads(Path(path).read_text())


def mean(values):
    return sum(values) / len(values)


def spread(values, scale=1.0, digits=1):
    """"98.9 (98.0-99.5)", or one number."""
    values = [scale * value for value in values if value is not None]
    if not values:
        return "-"
    text = f"{mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


class Axis:
    def __init__(self, values, begin, end, logarithmic=False, from_zero=False):
        self.logarithmic = logarithmic
        values = [value for value in values if value is not None and (value > 0 or not logarithmic)]
        low, high = (min(values), max(values)) if values else (0, 1)
        low = 0 if from_zero else low
        if high <= low:
            high = low + 1
        self.low, self.high, self.begin, self.end = low, high, begin, end

    def at(self, value):
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)

    def ticks(self):
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            factors = (1, 2, 5) if last - first < 4 else (1,)
            every = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        else:
            rough = (self.high - self.low) / 5
            power = 10 ** math.floor(math.log10(rough))
            step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
            every = [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in every if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Figure:
    def __init__(self, title, x_label, y_label):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        ]
        self.text(WIDTH / 2, 20, title, size=14)
        self.text(WIDTH / 2, HEIGHT - 10, x_label)
        self.text(16, HEIGHT / 2, y_label, turn=True)

    def text(self, x, y, text, size=12, anchor="middle", turn=False, colour="#222"):
        turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{turned}>{escape(text)}</text>')

    def line(self, points, colour, dash="", width=2.0):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>')

    def frame(self, x, y):
        if y is not None:
            for tick in y.ticks():
                self.line([(LEFT, y.at(tick)), (WIDTH - RIGHT, y.at(tick))], "#ddd", width=1)
                self.text(LEFT - 6, y.at(tick) + 4, f"{tick:g}", anchor="end")
        if x is not None:
            for tick in x.ticks():
                self.text(x.at(tick), HEIGHT - BOTTOM + 18, f"{tick / 1000:g}k" if tick >= 1000 else f"{tick:g}")
        self.line([(LEFT, TOP), (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)], "#222", width=1)

    def error_bar(self, x, low, high, y):
        self.line([(x, y.at(low)), (x, y.at(high))], "#222", width=1.5)
        for value in (low, high):
            self.line([(x - 4, y.at(value)), (x + 4, y.at(value))], "#222", width=1.5)

    def legend(self, names):
        x = LEFT + 8
        for i, name in enumerate(names):
            self.parts.append(f'<rect x="{x:.1f}" y="{TOP - 12}" width="10" height="10" fill="{COLOURS[i % 7]}"/>')
            self.text(x + 14, TOP - 3, name, anchor="start")
            x += 30 + 6.6 * len(name)

    def write(self, path):
        Path(path).write_text("\n".join(self.parts + ["</svg>"]) + "\n")


def bars(path, title, y_label, labels, series):
    """series: {name: [values of each label over seeds]}. Bars of means with error bars from smallest to largest."""
    figure = Figure(title, "", y_label)
    y = Axis([value for groups in series.values() for values in groups for value in values if value is not None] + [1],
             HEIGHT - BOTTOM, TOP, from_zero=True)
    figure.frame(None, y)
    wide = (WIDTH - LEFT - RIGHT) / len(labels)
    bar = 0.8 * wide / len(series)
    for i, label in enumerate(labels):
        figure.text(LEFT + (i + 0.5) * wide, HEIGHT - BOTTOM + 18, label)
        for j, groups in enumerate(series.values()):
            values = [value for value in groups[i] if value is not None]
            if not values:
                continue
            x = LEFT + (i + 0.1) * wide + j * bar
            top = y.at(mean(values))
            figure.parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{0.9 * bar:.1f}" height="{HEIGHT - BOTTOM - top:.1f}" '
                                f'fill="{COLOURS[j % 7]}"/>')
            if len(values) > 1:
                figure.error_bar(x + 0.45 * bar, min(values), max(values), y)
    if len(series) > 1:
        figure.legend(list(series))
    figure.write(path)


def lines(path, title, x_label, y_label, series, log_x=False, log_y=False):
    """series: {name: [(x, values over seeds)]}. Lines of means with error bars."""
    figure = Figure(title, x_label, y_label)
    x = Axis([point[0] for points in series.values() for point in points], LEFT, WIDTH - RIGHT - 10, log_x)
    y = Axis([value for points in series.values() for point in points for value in point[1]], HEIGHT - BOTTOM, TOP + 8, log_y)
    figure.frame(x, y)
    for i, points in enumerate(series.values()):
        colour = COLOURS[i % 7]
        figure.line([(x.at(place), y.at(mean(values))) for place, values in points], colour)
        for place, values in points:
            if len(points) < 20:
                figure.parts.append(f'<circle cx="{x.at(place):.1f}" cy="{y.at(mean(values)):.1f}" r="3" fill="{colour}"/>')
            if len(values) > 1 and len(points) < 20:
                figure.error_bar(x.at(place), min(values), max(values), y)
    figure.legend(list(series))
    figure.write(path)


def accuracies(out, name):
    """{row: accuracy or None} of an evaluation."""
    evaluation = read(out / "evaluations" / name / "evaluation.json")
    rows = {f"shot {score['shot']}": score["accuracy"] for score in evaluation["by_shot"] or []}
    for row in ("returning", "all", "told"):
        rows[row] = evaluation[row]["accuracy"]
    return rows


def of_seeds(out, kind):
    found = sorted(path.name for path in (out / "evaluations").glob(f"{kind}-*")
                   if re.fullmatch(rf"{re.escape(kind)}-[0-9]+", path.name))
    return [accuracies(out, name) for name in found]


def colours(out):
    names = {"moga": "MoGA", "full": "full attention", "routed": "routed groups only", "static": "static groups only"}
    found = {names[kind]: of_seeds(out, kind) for kind in names}
    rows = list(next(iter(found.values()))[0])
    cells = [[name] + [spread([seed.get(row) for seed in seeds], 100) for row in rows] for name, seeds in found.items()]
    bars(out / "colours.svg", "Colours right in shots that do not name them", "%", rows,
         {name: [[None if seed.get(row) is None else 100 * seed[row] for seed in seeds] for row in rows]
          for name, seeds in found.items()})
    seeds = len(next(iter(found.values())))
    return f"Percent of hats and shirts, {seeds} seed(s): mean (smallest-largest).\n\n" + table(["attention"] + rows, cells)


def groups(out):
    rows, accuracy = [], []
    for m in (1, 2, 4, 5, 8, 16):
        flop, paper = (read(out / "groups" / f"{name}-{m}.json") for name in ("flops", "paper"))
        ours = [row for row in read(out / "groups" / f"time-{m}.json")["rows"] if row["work"] == "MoGA"]
        seconds = {row["pass"]: row["seconds"] for row in ours}
        right = accuracies(out, f"groups-{m}")["all"]
        accuracy.append((m, [100 * (right or 0)]))
        rows.append([m, spread([right], 100), f"{100 * flop['sparsity']:.1f}", f"{flop['flop']['moga']['total'] / 1e9:.0f}",
                     f"{paper['flop']['moga']['total'] / 1e15:.2f}", f"{1000 * seconds['forward']:.1f}",
                     f"{1000 * seconds['forward+backward']:.1f}"])
    lines(out / "groups.svg", "Number of routed groups", "M", "colours right, %", {"trained for a short time": accuracy},
          log_x=True)
    return table(["M", "colours right, %", "sparsity, %", "GFLOP, demo", "PFLOP, 1.3B, 187,200 tokens", "block forward, ms",
                  "forward and backward, ms"], rows)


def log_of(run):
    """Log lines of a run, by step; a step that was taken again counts once."""
    lines_by_step = {}
    for line in (run / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if "groups" in entry:
            lines_by_step[entry["step"]] = entry
    return [lines_by_step[step] for step in sorted(lines_by_step)]


def routing_cost(entry):
    """M Σ F², averaged over the layers with a router: 1 if even, M if one group has all tokens."""
    layers = [layer for layer in entry["groups"] if layer]
    return mean([len(layer) * sum(share * share for share in layer) for layer in layers])


def balance(out):
    names = {"switch": "Switch form", "paper": "eq. 8 as printed", "none": "without"}
    series, gates, rows = {}, {}, []
    for form, name in names.items():
        runs = [log_of(run) for run in sorted((out / "runs").glob(f"balance-{form}-*"))]
        steps = [entry["step"] for entry in runs[0]]
        series[name] = [(step, [routing_cost(run[i]) for run in runs]) for i, step in enumerate(steps)]
        gate = [mean([value for value in run[-1].get("gate", []) if value is not None] or [math.nan]) for run in runs]
        gates[name] = gate
        largest = [max(max(layer) for layer in run[-1]["groups"] if layer) for run in runs]
        named = [sum(len(entry.get("news", [])) > 0 for entry in run) for run in runs]
        rows.append([name, spread([routing_cost(run[-1]) for run in runs], digits=2), spread(largest, 100),
                     spread(gate, digits=3), spread([run[-1]["loss"] for run in runs], digits=4), spread(named, digits=0)])
    lines(out / "balance.svg", "Cost of routed attention compared with even groups", "train step", "M Σ F²", series)
    return table(["balance loss", "M Σ F² at the end", "largest group of any layer, %", "gate", "flow loss",
                  "log lines with news"], rows) + "\nAll curves: balance/plot/plot.html.\n"


def windows(out):
    names = {"all": "windows, frames, runs of 4, 2 boundary frames", "none": "no windows", "no-frames": "no frames",
             "no-boundary": "no keys beyond cuts", "runs-2": "runs of 2", "runs-8": "runs of 8",
             "eight-shots": "models/demo (trained on 4 shots), 8 shots"}
    found = {name: accuracies(out, f"windows-{kind}") for kind, name in names.items()}
    logs = {kind: log_of(out / "runs" / f"windows-{kind}") for kind in names if kind != "eight-shots"}
    cells = []
    for kind, name in names.items():
        right = found[name]
        loss = f"{mean([entry['loss'] for entry in logs[kind][-5:]]):.4f}" if kind in logs else "-"
        cells.append([name, spread([right["all"]], 100), spread([right["returning"]], 100), spread([right["told"]], 100), loss])
    bars(out / "windows.svg", "What the static groups carry", "colours right, %", [kind for kind in names],
         {"all": [[100 * (found[name]["all"] or 0)] for name in names.values()]})
    eight = found[names["eight-shots"]]
    by_shot = [[row, spread([value], 100)] for row, value in eight.items() if row.startswith("shot")]
    return (table(["variant", "colours, %", "returning, %", "told, %", "flow loss, last lines"], cells) +
            "\nEight shots, shot by shot:\n\n" + table(["shot", "colours right, %"], by_shot))


def router(out):
    text, series = "", {}
    for kind in ("trained", "calibrated"):
        report = read(out / "router" / kind / "inspect.json")
        masks = list(report["records"][0]["overlap"])
        rows = []
        for record in report["records"]:
            overlap = record["overlap"]
            rows.append([f"{record['timestep']:g}", record["layer"]] +
                        [" / ".join(f"{100 * overlap[mask][of]:.1f}" if overlap[mask][of] is not None else "-"
                                    for of in ("trained", "untrained", "random")) for mask in masks])
        text += f"\n**{kind}**, percent: this router / untrained / random\n\n" + table(["timestep", "layer"] + masks, rows)
        for of, name in (("trained", kind), ("untrained", "untrained"), ("random", "random")):
            by_layer = {}
            for record in report["records"]:
                values = [record["overlap"][mask][of] for mask in masks]
                by_layer.setdefault(record["layer"], []).append(100 * mean([v for v in values if v is not None] or [0]))
            series[name] = [(layer, values) for layer, values in sorted(by_layer.items())]
    lines(out / "router.svg", "Overlap of groups with the masks, mean over kinds of masks", "layer", "IoU, %", series)
    rows = [[combine, spread([accuracies(out, f"router-calibrated-{combine}")["all"]], 100)] for combine in ("mean", "lse")]
    return text + "\nCalibrated routers, no training:\n\n" + table(["combine", "colours right, %"], rows)


def time(out):
    rows, series = [], {}
    reports = sorted((read(path) for path in (out / "time").glob("block-*.json")), key=lambda report: report["sizes"]["tokens"])
    break_even = {}
    for report in reports:
        tokens = report["sizes"]["tokens"]
        by = {(row["work"], row["pass"]): row for row in report["rows"]}
        cells = [f"{tokens:,}"]
        for which in ("forward", "forward+backward"):
            full, moga = by[("full", which)], by[("MoGA", which)]
            cells += [f"{1000 * full['seconds']:.1f}", f"{1000 * moga['seconds']:.1f}", f"{full['seconds'] / moga['seconds']:.2f}",
                      f"{full['flop'] / moga['flop']:.2f}"]
            series.setdefault(f"full, {which}", []).append((tokens, [1000 * full["seconds"]]))
            series.setdefault(f"MoGA, {which}", []).append((tokens, [1000 * moga["seconds"]]))
            if moga["seconds"] < full["seconds"]:
                break_even.setdefault(which, tokens)
            else:
                break_even.pop(which, None)  # it has to be faster at all larger sizes too
        rows.append(cells)
    lines(out / "time.svg", "One block: full attention and MoGA", "tokens", "ms", series, log_x=True, log_y=True)
    head = ["tokens"] + [f"{which}: {column}" for which in ("forward", "with backward")
                         for column in ("full, ms", "MoGA, ms", "times faster", "times fewer FLOP")]
    ends = [f"MoGA is faster from {tokens:,} tokens on ({which})" for which, tokens in break_even.items()]
    report = reports[-1]
    return (f"A block of {report['sizes']['heads']} heads × {report['sizes']['head_dim']}, {report['device']}, {report['dtype']}.\n\n" +
            table(head, rows) + "\n" + ("; ".join(ends) if ends else "MoGA is not faster at any of these sizes") + ".\n")


PARTS = {"colours": colours, "groups": groups, "balance": balance, "windows": windows, "router": router, "time": time}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in PARTS:
        sys.exit(f"usage: tools/evidence.py OUT {'|'.join(PARTS)}")
    out, part = Path(sys.argv[1]), sys.argv[2]
    text = f"## {part}\n\n" + PARTS[part](out)
    temporary = out / f".{part}.md"
    temporary.write_text(text)
    temporary.replace(out / f"{part}.md")


if __name__ == "__main__":
    main()
