// The page of `moga plot`: page.html with the curves as JSON. See plot.h.
#include <cmath>
#include <map>

#include "moga/core/check.h"
#include "moga/core/format.h"
#include "moga/plot/page_text.h"
#include "moga/plot/plot.h"

namespace moga {
namespace {

using nlohmann::json;

constexpr const char* kPlaceOfCurves = "\"the data of a plot\"";

std::string hex(const PlotColour& colour) {
  const auto byte = [](double part) { return static_cast<int>(std::lround(255 * part)); };
  return formatted("#%02x%02x%02x", byte(colour.red), byte(colour.green), byte(colour.blue));
}

// Six digits are more than a screen shows; what is no number becomes null.
json numbers(const std::vector<double>& values) {
  json list = json::array();
  for (const double value : values)
    list.push_back(std::isfinite(value) ? json(std::stod(formatted("%.6g", value))) : json());
  return list;
}

// "<" would end the page's script.
std::string in_script(std::string text) {
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 6) text.replace(at, 1, "\\u003c");
  return text;
}

// Curves of one run mostly have the same steps: each list is in the page once.
class Places {
 public:
  size_t of(const Curve& curve) {
    const auto [found, added] = index_.emplace(std::pair(curve.run, curve.steps), list_.size());
    if (added) list_.push_back({{"step", curve.steps}, {"hours", numbers(curve.hours)}});
    return found->second;
  }
  const json& list() const { return list_; }

 private:
  std::map<std::pair<size_t, std::vector<double>>, size_t> index_;
  json list_ = json::array();
};

}  // namespace

std::string plot_page(const Plot& plot) {
  Places places;
  json panels = json::array(), runs = json::array(), news = json::array();
  for (const Panel& panel : plot.panels) {
    json curves = json::array();
    for (const Curve& curve : panel.curves)
      curves.push_back({{"name", curve.name},
                        {"run", curve.run},
                        {"colour", hex(colour_of(panel, curve))},
                        {"dashed", dashed(panel, curve)},
                        {"evaluated", curve.evaluated},
                        {"places", places.of(curve)},
                        {"values", numbers(curve.values)}});
    panels.push_back({{"title", panel.title},
                      {"unit", panel.unit},
                      {"logarithmic", panel.logarithmic},
                      {"of_runs", panel.colour == CurveColour::kRun},
                      {"curves", curves}});
  }
  const Panel of_runs = {.title = "", .unit = ""};
  for (size_t run = 0; run < plot.runs.size(); ++run) {
    const Curve curve = {.name = "", .run = run, .number = run};
    runs.push_back(
        {{"name", plot.runs[run]}, {"colour", hex(colour_of(of_runs, curve))}, {"dashed", dashed(of_runs, curve)}});
  }
  for (const PlotNews& item : plot.news) news.push_back({{"run", item.run}, {"step", item.step}, {"text", item.text}});
  const json data = {{"axis", name_of(plot.options.axis)},
                     {"smooth", plot.options.smooth},
                     {"runs", runs},
                     {"places", places.list()},
                     {"panels", panels},
                     {"news", news}};
  std::string page = kPlotPage;
  const size_t at = page.find(kPlaceOfCurves);
  check(at != std::string::npos, "plot: the page has no place for its data");
  return page.replace(at, std::string(kPlaceOfCurves).size(),
                      in_script(data.dump(-1, ' ', false, json::error_handler_t::replace)));
}

}  // namespace moga
