// Curves of training runs, as `moga plot` draws them: what log.jsonl says, several runs on one axis.
//
//   DIR/plot.svg  DIR/plot.png  DIR/plot.html    the page holds everything it needs and opens from disk
//
// A panel has what belongs on one axis: a quantity of all runs, one colour per run, or the parts or layers of one
// quantity of one run. Smoothing is the mean over the neighbouring log lines, and the figure says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/plot/run_log.h"

namespace moga {

enum class PlotAxis { kStep, kHours };
template <>
inline constexpr auto kChoices<PlotAxis> = std::array{
    Choice{PlotAxis::kStep, "step", "train steps"},
    Choice{PlotAxis::kHours, "hours", "hours of training, over all resumed runs"},
};

struct PlotOptions {
  PlotAxis axis = PlotAxis::kStep;
  int64_t smooth = 1;  // log lines; 1: as logged
};

enum class CurveColour { kRun, kPart, kLayer };

struct Curve {
  std::string name;
  size_t run = 0;
  size_t number = 0;       // of the curve among those of its panel that have its kind of colour
  bool evaluated = false;  // of held-out data: never smoothed, and dashed next to curves of the training
  std::vector<double> steps = {}, hours = {}, values = {};
};

struct Panel {
  std::string title, unit;
  CurveColour colour = CurveColour::kRun;
  bool logarithmic = false;
  std::vector<Curve> curves = {};
};

struct PlotNews {
  size_t run = 0;
  int64_t step = 0;
  std::string text;
};

struct Plot {
  PlotOptions options;
  std::vector<std::string> runs;
  std::vector<Panel> panels;
  std::vector<PlotNews> news;  // what went wrong (run_watch.h)
};

Plot make_plot(const std::vector<RunLog>& logs, const PlotOptions& options);

// The mean of each value and its neighbours, `lines` in all; fewer at the ends.
std::vector<double> smoothed(const std::vector<double>& values, int64_t lines);
// "mean over 5 log lines; faint: as logged"
std::string smoothing_text(const PlotOptions& options);

struct PlotColour {
  double red, green, blue;
};
PlotColour colour_of(const Panel& panel, const Curve& curve);
bool dashed(const Panel& panel, const Curve& curve);

// Round values within [low, high] and the text of each; on a logarithmic axis powers of ten, and 2 and 5 times them
// where there are few.
struct Ticks {
  std::vector<double> at;
  std::vector<std::string> text;
};
Ticks ticks_of(double low, double high, bool logarithmic);

void write_plot_svg(const Plot& plot, const std::filesystem::path& file);
void write_plot_png(const Plot& plot, const std::filesystem::path& file);
std::string plot_page(const Plot& plot);

// Writes the three files, each whole or not at all.
void write_plot(const Plot& plot, const std::filesystem::path& folder);

}  // namespace moga
