// Log lines → panels. See plot.h.
#include "moga/plot/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "moga/core/format.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr double kSecondsPerHour = 3600;
constexpr double kWide = 30;  // from this ratio of the largest to the smallest value on, an axis is logarithmic

// What a key of the log is called. Keys that are not listed get a panel of their own name.
struct Quantity {
  const char* key;
  const char* title;
  const char* unit;
  double scale = 1;
};
constexpr std::array kQuantities = {
    Quantity{"loss", "Loss", ""},
    Quantity{"balance", "Balance loss", "1: even groups"},
    Quantity{"gradient_norm", "Gradient norm", "before clipping"},
    Quantity{"lr", "Learning rate", ""},
    Quantity{"tokens_per_second", "Throughput", "tokens/s"},
    Quantity{"videos_per_second", "Throughput", "videos/s"},
    Quantity{"clips_per_second", "Throughput", "clips/s"},
    Quantity{"captions_per_second", "Throughput", "captions/s"},
    Quantity{"step_seconds", "Time of a train step", "s"},
    Quantity{"peak_bytes", "Peak memory", "GiB", 1.0 / (1 << 30)},
};
// Lists and objects: a panel for each run.
constexpr std::array kOfRun = {
    Quantity{"held_out_by_time", "Held-out loss by time t", "0: no noise"},
    Quantity{"gradient_norms", "Gradient norm by part", "before clipping"},
    Quantity{"gradient_norm_layers", "Gradient norm by layer", "before clipping"},
    Quantity{"imbalance", "Largest group over the mean, by layer", "1: even"},
    Quantity{"gate", "Gate by layer", "mean of p(g(x)|x)"},
};
constexpr std::array kNotDrawn = {std::string_view("step"),          std::string_view("steps"),
                                  std::string_view("seconds"),       std::string_view("held_out_seconds"),
                                  std::string_view("held_out_loss"), std::string_view("stage")};

void add_point(Curve& curve, const json& line, double value) {
  curve.steps.push_back(line["step"].get<double>());
  const auto seconds = line.find("seconds");
  const bool timed = seconds != line.end() && seconds->is_number();
  curve.hours.push_back(timed ? seconds->get<double>() / kSecondsPerHour : std::nan(""));
  curve.values.push_back(value);
}

// A null in the log was not a number: a gap.
double number_of(const json& value, double scale) {
  return value.is_number() ? value.get<double>() * scale : std::nan("");
}

Curve curve_of(const RunLog& log, size_t run, const std::string& key, double scale = 1) {
  Curve curve = {.name = log.name, .run = run, .number = run};
  for (const json& line : log.lines)
    if (const auto value = line.find(key); value != line.end() && (value->is_number() || value->is_null()))
      add_point(curve, line, number_of(*value, scale));
  return curve;
}

bool has_number(const Curve& curve) {
  return std::ranges::any_of(curve.values, [](double value) { return std::isfinite(value); });
}

// Lines of evaluations have no time of their own: that of the last log line before them.
std::vector<json> with_times(const std::vector<json>& lines) {
  std::vector<json> timed = lines;
  double seconds = 0;
  for (json& line : timed) {
    if (const auto own = line.find("seconds"); own != line.end() && own->is_number())
      seconds = own->get<double>();
    else
      line["seconds"] = seconds;
  }
  return timed;
}

void finish(Panel& panel, std::vector<Panel>& panels) {
  std::erase_if(panel.curves, [](const Curve& curve) { return !has_number(curve); });
  if (panel.curves.empty()) return;
  double low = HUGE_VAL, high = 0;
  for (const Curve& curve : panel.curves)
    for (const double value : curve.values)
      if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  panel.logarithmic = low > 0 && high / low > kWide;
  panels.push_back(std::move(panel));
}

Panel panel_of_all(const std::vector<RunLog>& logs, const Quantity& quantity) {
  Panel panel = {.title = quantity.title, .unit = quantity.unit};
  for (size_t run = 0; run < logs.size(); ++run)
    panel.curves.push_back(curve_of(logs[run], run, quantity.key, quantity.scale));
  if (std::string(quantity.key) != "loss") return panel;
  for (size_t run = 0; run < logs.size(); ++run) {
    Curve& curve = panel.curves.emplace_back(curve_of(logs[run], run, "held_out_loss"));
    curve.name += ", held out";
    curve.evaluated = true;
  }
  return panel;
}

// The members of lists and objects as curves.
Panel panel_of_run(const RunLog& log, size_t run, const Quantity& quantity) {
  Panel panel = {.title = quantity.title, .unit = quantity.unit, .colour = CurveColour::kPart};
  std::map<std::string, size_t> index;
  for (const json& line : log.lines) {
    const auto found = line.find(quantity.key);
    if (found == line.end() || !(found->is_array() || found->is_object())) continue;
    if (found->is_array()) panel.colour = CurveColour::kLayer;
    for (const auto& [key, value] : found->items()) {
      const auto [place, added] = index.emplace(key, panel.curves.size());
      if (added) panel.curves.push_back({.name = key, .run = run, .number = panel.curves.size()});
      add_point(panel.curves[place->second], line, number_of(value, quantity.scale));
    }
  }
  for (Curve& curve : panel.curves) {
    curve.evaluated = std::string(quantity.key) == "held_out_by_time";
    if (panel.colour == CurveColour::kLayer) curve.name = "layer " + curve.name;
    std::ranges::replace(curve.name, '_', ' ');
  }
  return panel;
}

std::string title_of_key(std::string key) {
  std::ranges::replace(key, '_', ' ');
  return key;
}

}  // namespace

std::vector<double> smoothed(const std::vector<double>& values, int64_t lines) {
  if (lines <= 1) return values;
  const auto count = static_cast<int64_t>(values.size());
  std::vector<double> means;
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;
    int64_t numbers = 0;
    for (int64_t j = std::max<int64_t>(0, i - (lines - 1) / 2); j <= std::min(count - 1, i + lines / 2); ++j)
      if (std::isfinite(values[j])) sum += values[j], ++numbers;
    means.push_back(numbers == 0 || !std::isfinite(values[i]) ? std::nan("") : sum / static_cast<double>(numbers));
  }
  return means;
}

std::string smoothing_text(const PlotOptions& options) {
  if (options.smooth <= 1)
    return "As logged: each point is the mean over the train steps of a log line. Next to training losses, held-out "
           "losses are dashed.";
  return "Smoothed: means over " + std::to_string(options.smooth) +
         " neighbouring log lines; faint: as logged. Held-out losses are not smoothed; next to training losses they "
         "are dashed.";
}

Plot make_plot(const std::vector<RunLog>& given, const PlotOptions& options) {
  check(!given.empty(), "nothing to plot: no runs");
  check(options.smooth > 0, "--smooth is ", options.smooth, ", expected log lines, 1 or more");
  std::vector<RunLog> logs = given;
  for (RunLog& log : logs) log.lines = with_times(log.lines);
  Plot plot = {.options = options, .runs = {}, .panels = {}, .news = {}};
  std::set<std::string> others;
  for (size_t run = 0; run < logs.size(); ++run) {
    plot.runs.push_back(logs[run].name);
    for (const json& line : logs[run].lines) {
      for (const auto& [key, value] : line.items())
        if (value.is_number() && std::ranges::find(kNotDrawn, key) == kNotDrawn.end()) others.insert(key);
      if (const auto news = line.find("news"); news != line.end() && news->is_array())
        for (const json& text : *news)
          if (text.is_string()) plot.news.push_back({run, line["step"].get<int64_t>(), text.get<std::string>()});
    }
  }
  const auto add_of_runs = [&](const Quantity& quantity) {
    for (size_t run = 0; run < logs.size(); ++run) {
      Panel panel = panel_of_run(logs[run], run, quantity);
      if (logs.size() > 1) panel.title += ": " + logs[run].name;
      finish(panel, plot.panels);
    }
  };
  for (const Quantity& quantity : kQuantities) {
    others.erase(quantity.key);
    Panel panel = panel_of_all(logs, quantity);
    finish(panel, plot.panels);
    if (std::string(quantity.key) == "loss") add_of_runs(kOfRun[0]);
    if (std::string(quantity.key) == "balance") {
      add_of_runs(kOfRun[3]);
      add_of_runs(kOfRun[4]);
    }
    if (std::string(quantity.key) == "gradient_norm") {
      add_of_runs(kOfRun[1]);
      add_of_runs(kOfRun[2]);
    }
  }
  for (const std::string& key : others) {
    const std::string title = title_of_key(key);
    Panel panel = panel_of_all(logs, {.key = key.c_str(), .title = title.c_str(), .unit = ""});
    const bool all_zero = std::ranges::all_of(panel.curves, [](const Curve& curve) {
      return std::ranges::all_of(curve.values, [](double value) { return value == 0; });
    });
    if (!all_zero) finish(panel, plot.panels);  // "skipped", as it should be
  }
  check(!plot.panels.empty(), "nothing to plot: the logs hold no numbers");
  return plot;
}

PlotColour colour_of(const Panel& panel, const Curve& curve) {
  // Okabe and Ito's, without yellow, which is too light for a line, and with grey.
  static constexpr std::array kApart = {PlotColour{0.00, 0.45, 0.70}, PlotColour{0.84, 0.37, 0.00},
                                        PlotColour{0.00, 0.62, 0.45}, PlotColour{0.80, 0.47, 0.65},
                                        PlotColour{0.34, 0.71, 0.91}, PlotColour{0.90, 0.62, 0.00},
                                        PlotColour{0.40, 0.40, 0.40}};
  // From dark blue over green to orange: first to last layer.
  static constexpr std::array kRamp = {PlotColour{0.20, 0.15, 0.45}, PlotColour{0.16, 0.40, 0.58},
                                       PlotColour{0.15, 0.62, 0.50}, PlotColour{0.55, 0.73, 0.25},
                                       PlotColour{0.93, 0.62, 0.10}};
  if (panel.colour != CurveColour::kLayer) return kApart[curve.number % kApart.size()];
  const double last = static_cast<double>(std::max<size_t>(2, panel.curves.size()) - 1);
  const double place = std::min(1.0, static_cast<double>(curve.number) / last) * (kRamp.size() - 1);
  const auto low = std::min(static_cast<size_t>(place), kRamp.size() - 2);
  const double part = place - static_cast<double>(low);
  const auto between = [&](double a, double b) { return a + part * (b - a); };
  return {between(kRamp[low].red, kRamp[low + 1].red), between(kRamp[low].green, kRamp[low + 1].green),
          between(kRamp[low].blue, kRamp[low + 1].blue)};
}

bool dashed(const Panel& panel, const Curve& curve) {
  constexpr size_t kColours = 7;
  if (panel.colour == CurveColour::kLayer) return false;
  return (curve.evaluated && panel.colour == CurveColour::kRun) || curve.number / kColours % 2 == 1;
}

Ticks ticks_of(double low, double high, bool logarithmic) {
  Ticks ticks;
  const auto add = [&](double value, const std::string& text) {
    ticks.at.push_back(value);
    ticks.text.push_back(text);
  };
  if (logarithmic) {
    const int first = static_cast<int>(std::floor(std::log10(low))),
              last = static_cast<int>(std::ceil(std::log10(high)));
    const bool few = last - first <= 3;
    const int stride = std::max(1, (last - first + 5) / 6);
    for (int power = first; power <= last; power += few ? 1 : stride)
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double value = factor * std::pow(10.0, power);
        if ((few || factor == 1) && value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9))
          add(value, formatted("%g", value));
      }
    return ticks;
  }
  const double range = std::max(high - low, 1e-300), rough = range / 5,
               power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough) step = factor * power;
  for (double number = std::ceil(low / step - 1e-9); number * step <= high + 1e-9 * range; ++number) {
    const double value = number == 0 ? 0 : number * step;
    const bool thousands = std::abs(value) >= 1e4;
    add(value, thousands ? (std::abs(high) >= 1e6 ? formatted("%gM", value / 1e6) : formatted("%gk", value / 1e3))
                         : formatted("%g", std::abs(value) < 1e-9 * range ? 0 : value));
  }
  return ticks;
}

void write_plot(const Plot& plot, const std::filesystem::path& folder) {
  make_folder(folder);
  write_atomically(folder / "plot.svg", [&](const std::filesystem::path& file) { write_plot_svg(plot, file); });
  write_atomically(folder / "plot.png", [&](const std::filesystem::path& file) { write_plot_png(plot, file); });
  write_text(folder / "plot.html", plot_page(plot));
}

}  // namespace moga
