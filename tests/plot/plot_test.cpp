// Panels, scales and the three files of a plot.
#include "moga/plot/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "moga/core/files.h"
#include "moga/data/video/read_image.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// Six lines and two evaluations.
RunLog log_of(const std::string& name, double loss) {
  RunLog log = {.name = name, .lines = {}};
  log.lines.push_back({{"step", 0}, {"held_out_loss", 2 * loss}, {"held_out_by_time", {{"0.2", 1.0}, {"0.8", 2.0}}}});
  for (int64_t step = 10; step <= 60; step += 10)
    log.lines.push_back({{"step", step},
                         {"seconds", 36.0 * static_cast<double>(step)},
                         {"loss", loss / static_cast<double>(step)},
                         {"lr", 1e-3},
                         {"skipped", 0},
                         {"imbalance", {1.1, 1.3, 1.2}},
                         {"gate", {nullptr, 0.6, 0.7}},  // no router in layer 0
                         {"gradient_norms", {{"mlp", 1.0}, {"router", 0.001}}},
                         {"peak_bytes", int64_t{3} << 30}});
  log.lines.push_back({{"step", 60}, {"held_out_loss", loss}});
  log.lines[3]["loss"] = nullptr;  // not a number
  log.lines[4]["news"] = {"groups starve in layer 1 <b>"};
  return log;
}

const Panel& panel_of(const Plot& plot, const std::string& title) {
  const auto found = std::ranges::find_if(plot.panels, [&](const Panel& panel) { return panel.title == title; });
  EXPECT_NE(found, plot.panels.end()) << title;
  return *found;
}

TEST(Plot, HasAPanelForEachQuantity) {
  const Plot plot = make_plot({log_of("a", 1), log_of("b", 2)}, {});
  std::vector<std::string> titles;
  for (const Panel& panel : plot.panels) titles.push_back(panel.title);
  EXPECT_EQ(titles, (std::vector<std::string>{"Loss", "Held-out loss by time t: a", "Held-out loss by time t: b",
                                              "Largest group over the mean, by layer: a",
                                              "Largest group over the mean, by layer: b", "Gate by layer: a",
                                              "Gate by layer: b", "Gradient norm by part: a",
                                              "Gradient norm by part: b", "Learning rate", "Peak memory"}));
  const Panel& loss = plot.panels[0];
  ASSERT_EQ(loss.curves.size(), 4u);
  EXPECT_EQ(loss.curves[2].name, "a, held out");
  EXPECT_EQ(loss.curves[2].values, (std::vector<double>{2, 1}));
  EXPECT_EQ(loss.curves[2].hours.back(), 0.6);  // that of the log line before it
  EXPECT_TRUE(std::isnan(loss.curves[0].values[2]));
  EXPECT_EQ(panel_of(plot, "Peak memory").curves[0].values[0], 3);
  EXPECT_EQ(panel_of(plot, "Largest group over the mean, by layer: b").curves[2].name, "layer 2");
  ASSERT_EQ(panel_of(plot, "Gate by layer: a").curves.size(), 2u);
  EXPECT_EQ(panel_of(plot, "Gate by layer: a").curves[0].name, "layer 1");
  EXPECT_TRUE(panel_of(plot, "Gradient norm by part: a").logarithmic);
  EXPECT_FALSE(panel_of(plot, "Learning rate").logarithmic);
  EXPECT_EQ(plot.news.at(1).text, "groups starve in layer 1 <b>");
}

TEST(Plot, SmoothingIsTheMeanOfNeighbours) {
  const double none = std::nan("");
  EXPECT_EQ(smoothed({1, 2, 6, 4}, 1), (std::vector<double>{1, 2, 6, 4}));
  EXPECT_EQ(smoothed({1, 2, 6, 4}, 3), (std::vector<double>{1.5, 3, 4, 5}));
  const std::vector<double> gap = smoothed({1, none, 3}, 3);
  EXPECT_EQ(gap[0], 1);
  EXPECT_TRUE(std::isnan(gap[1]));
  EXPECT_NE(smoothing_text({.smooth = 9}).find("means over 9 neighbouring log lines"), std::string::npos);
}

TEST(Plot, TicksAreRoundAndInside) {
  EXPECT_EQ(ticks_of(0, 1, false).text, (std::vector<std::string>{"0", "0.2", "0.4", "0.6", "0.8", "1"}));
  EXPECT_EQ(ticks_of(0, 24000, false).text, (std::vector<std::string>{"0", "5000", "10k", "15k", "20k"}));
  EXPECT_EQ(ticks_of(0.03, 2, true).text, (std::vector<std::string>{"0.05", "0.1", "0.2", "0.5", "1", "2"}));
  EXPECT_EQ(ticks_of(1e-6, 1, true).at.size(), 7u);
}

TEST(Plot, WritesAnSvgAPngAndAPage) {
  const test::Folder folder;
  const Plot plot = make_plot({log_of("one </script> run", 1)}, {.smooth = 3});
  write_plot(plot, folder / "plot");
  const std::string svg = read_text(folder / "plot/plot.svg"), page = read_text(folder / "plot/plot.html");
  EXPECT_NE(svg.find("<svg"), std::string::npos);
  EXPECT_NE(svg.find("</svg>"), std::string::npos);
  EXPECT_EQ(page.find("one </script> run"), std::string::npos);
  EXPECT_NE(page.find("one \\u003c/script> run"), std::string::npos);
  const at::Tensor png = read_image(folder / "plot/plot.png");
  EXPECT_GT(png.size(2), 2000);
  EXPECT_GT(png.lt(128).sum().item<int64_t>(), 5000);  // text and curves
  std::vector<RunLog> empty = {{.name = "x", .lines = {{{"step", 1}}}}};
  EXPECT_NE(test::error_of([&] { make_plot(empty, {}); }).find("the logs hold no numbers"), std::string::npos);
}

}  // namespace
}  // namespace moga
