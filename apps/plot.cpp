// moga plot: curves of training runs as SVG, PNG and a page.
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "moga/core/choice.h"
#include "moga/core/log.h"
#include "moga/plot/plot.h"

namespace moga {
namespace {

constexpr const char* kManual =
    R"(Draws the log of training runs (log.jsonl), several runs on one axis: losses, held-out loss, balance
and the largest group of each layer, gradient norms of parts and layers, learning rate, throughput and
memory. A run is the folder that `moga train` writes, or its log.jsonl. Logs of `moga train vae` and
`moga train text` are drawn as well.

plot.html opens from disk without a network: the pointer shows values, a click on a name hides a curve.

Example:
  moga plot runs/stories
  moga plot runs/stories runs/full --smooth 9 --axis hours --out out/plot)";

struct Options {
  std::vector<std::string> runs;
  std::string out = "out/plot", axis = name_of(PlotOptions().axis);
  PlotOptions plot;
};

void run(Options options) {
  options.plot.axis = choice<PlotAxis>("--axis", options.axis);
  std::vector<RunLog> logs;
  for (const std::string& path : options.runs) {
    logs.push_back(read_run_log(path));
    if (logs.back().damaged > 0)
      log_info(path, ": ", logs.back().damaged, logs.back().damaged == 1 ? " line is" : " lines are",
               " damaged and left out");
  }
  name_apart(logs, std::vector<std::filesystem::path>(options.runs.begin(), options.runs.end()));
  write_plot(make_plot(logs, options.plot), options.out);
  std::cout << "curves in " << options.out << ": plot.html, plot.svg, plot.png" << std::endl;
}

}  // namespace

void add_plot(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plot", "Draw the curves of training runs");
  command->footer(kManual);
  command->add_option("RUN", options->runs, "folders of runs, or their log.jsonl")->required();
  command->add_option("--out", options->out, "folder to write plot.svg, plot.png and plot.html into")
      ->capture_default_str();
  command->add_option("--smooth", options->plot.smooth, "draw means over this number of log lines; 1: as logged")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--axis", options->axis, choice_help<PlotAxis>())->capture_default_str();
  command->callback([options] { run(*options); });
}

}  // namespace moga
