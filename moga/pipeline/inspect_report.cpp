// See inspect_report.h.
#include "moga/pipeline/inspect_report.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "moga/core/format.h"

namespace moga {
namespace {

using nlohmann::json;

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

int64_t groups_of(const RoutingRecord& record) {
  return static_cast<int64_t>(record.numbers.shot_counts.front().size());
}

json overlap_json(const Overlaps& overlaps) {
  json result = json::object();
  for (const auto& [kind, overlap] : overlaps)
    result[name_of(kind)] = {{"masks", overlap.masks},
                             {"trained", overlap.trained},
                             {"untrained", overlap.untrained},
                             {"random", overlap.random}};
  return result;
}

json record_json(const Inspection& inspection, size_t index) {
  const RoutingRecord& record = inspection.records[index];
  const RoutingNumbers& numbers = record.numbers;
  const ObservedStep& step = inspection.steps[record.step];
  json result = {{"step", step.number},
                 {"timestep", step.timestep},
                 {"expert", step.expert},
                 {"layer", record.layer},
                 {"counts", numbers.counts()},
                 {"largest_group", numbers.largest_group()},
                 {"largest_share", numbers.share(numbers.largest_group())},
                 {"empty_groups", numbers.empty_groups()},
                 {"effective_groups", numbers.effective_groups()},
                 {"cost", numbers.cost()},
                 {"balance", numbers.balance},
                 {"entropy", numbers.entropy},
                 {"gate", numbers.gate},
                 {"agreement_previous_layer", optional_json(record.as_previous_layer)},
                 {"agreement_previous_step", optional_json(record.as_previous_step)},
                 {"shot_counts", numbers.shot_counts},
                 {"shot_sharing", numbers.shot_sharing()},
                 {"collapsed", numbers.collapsed()}};
  if (!inspection.overlaps.empty()) result["overlap"] = overlap_json(inspection.overlaps[index]);
  return result;
}

// Pairs of the static branches as fractions of all pairs; those of the routed branch are a record's cost / M.
json attention_json(const VisualAttentionConfig& config, const VideoShape& video) {
  const PairCount pairs = count_pairs({{video}}, config);
  return {{"groups", config.groups},
          {"gate", name_of(config.gate)},
          {"combine", name_of(config.combine)},
          {"window_pairs", config.window ? pairs.window / pairs.full : 0},
          {"frame_pairs", config.frame ? pairs.frame / pairs.full : 0},
          {"full_layers", config.full_layers}};
}

// The mean over the records of a layer for which `value` has one.
std::optional<double> mean_of(const Inspection& inspection, int64_t layer,
                              const std::function<std::optional<double>(const RoutingRecord&)>& value) {
  double sum = 0;
  int64_t count = 0;
  for (const RoutingRecord& record : inspection.records)
    if (record.layer == layer)
      if (const auto own = value(record)) sum += *own, ++count;
  return count > 0 ? std::optional(sum / static_cast<double>(count)) : std::nullopt;
}

// Of two different shots, over all pairs of them; none with one shot.
std::optional<double> sharing_between_shots(const RoutingRecord& record) {
  const auto sharing = record.numbers.shot_sharing();
  if (sharing.size() < 2) return std::nullopt;
  double sum = 0;
  for (size_t a = 0; a < sharing.size(); ++a)
    for (size_t b = 0; b < sharing.size(); ++b) sum += a == b ? 0 : sharing[a][b];
  return sum / static_cast<double>(sharing.size() * (sharing.size() - 1));
}

std::string cell(const std::optional<double>& value, const char* format, int width = 9) {
  return value ? formatted(format, *value) : formatted("%*s", width, "-");
}

std::string layer_row(const Inspection& inspection, int64_t layer) {
  const auto mean = [&](const std::function<std::optional<double>(const RoutingRecord&)>& value) {
    return mean_of(inspection, layer, value);
  };
  using Record = RoutingRecord;
  return formatted("%-6lld", static_cast<long long>(layer)) +
         cell(mean([](const Record& r) { return 100 * r.numbers.share(r.numbers.largest_group()); }), "%7.1f %%") +
         cell(mean([](const Record& r) { return r.numbers.cost(); }), "%9.2f") +
         cell(mean([](const Record& r) { return r.numbers.balance; }), "%9.3f") +
         cell(mean([](const Record& r) { return r.numbers.entropy; }), "%9.3f") +
         cell(mean([](const Record& r) { return r.numbers.gate; }), "%9.3f") +
         cell(mean([](const Record& r) { return r.as_previous_layer; }), "%11.3f", 11) +
         cell(mean([](const Record& r) { return r.as_previous_step; }), "%11.3f", 11) +
         cell(mean([](const Record& r) -> std::optional<double> {
                const auto sharing = sharing_between_shots(r);
                return sharing ? std::optional(100 * *sharing) : std::nullopt;
              }),
              "%7.1f %%") +
         "\n";
}

// Mean over all records.
std::string overlap_table(const Inspection& inspection) {
  std::map<MaskKind, Overlap> sums;
  for (const Overlaps& overlaps : inspection.overlaps)
    for (const auto& [kind, overlap] : overlaps) {
      const double share = 1.0 / static_cast<double>(inspection.overlaps.size());
      Overlap& sum = sums[kind];
      sum.masks = overlap.masks;
      sum.trained += share * overlap.trained;
      sum.untrained += share * overlap.untrained;
      sum.random += share * overlap.random;
    }
  std::string table = formatted("%-12s%7s%11s%11s%11s\n", "IoU", "masks", "router", "untrained", "random");
  for (const auto& [kind, sum] : sums)
    table += formatted("%-12s%7lld%9.1f %%%9.1f %%%9.1f %%\n", name_of(kind), static_cast<long long>(sum.masks),
                       100 * sum.trained, 100 * sum.untrained, 100 * sum.random);
  return table;
}

}  // namespace

json inspection_json(const Inspection& inspection) {
  json result = {{"title", inspection.title},
                 {"model", inspection.model},
                 {"source", inspection.source},
                 {"video",
                  {{"width", inspection.size.width},
                   {"height", inspection.size.height},
                   {"fps", inspection.fps},
                   {"latent_frames", inspection.video.frames},
                   {"rows", inspection.video.rows},
                   {"columns", inspection.video.columns},
                   {"tokens", inspection.video.tokens()},
                   {"shot_frames", inspection.video.shot_frames.empty() ? std::vector{inspection.video.frames}
                                                                        : inspection.video.shot_frames}}},
                 {"captions", inspection.captions},
                 {"map_frames", inspection.frames},
                 {"layers", inspection.layers},
                 {"steps", json::array()},
                 {"attention", json::array()},
                 {"findings", inspection_findings(inspection)},
                 {"records", json::array()}};
  for (const ObservedStep& step : inspection.steps)
    result["steps"].push_back({{"number", step.number}, {"timestep", step.timestep}, {"expert", step.expert}});
  for (const VisualAttentionConfig& config : inspection.attention)
    result["attention"].push_back(attention_json(config, inspection.video));
  for (size_t i = 0; i < inspection.records.size(); ++i) result["records"].push_back(record_json(inspection, i));
  return result;
}

std::string inspection_table(const Inspection& inspection) {
  std::string table = formatted("%-6s%9s%9s%9s%9s%9s%11s%11s%9s\n", "layer", "largest", "cost", "balance", "entropy",
                                "gate", "ARI layer", "ARI step", "shots");
  for (const int64_t layer : inspection.layers) table += layer_row(inspection, layer);
  if (!inspection.overlaps.empty()) table += overlap_table(inspection);
  return table;
}

std::vector<std::string> inspection_findings(const Inspection& inspection) {
  std::vector<std::string> findings;
  for (const int64_t layer : inspection.layers) {
    int64_t seen = 0, collapsed = 0, groups = 0;
    const RoutingRecord* worst = nullptr;
    for (const RoutingRecord& record : inspection.records) {
      if (record.layer != layer) continue;
      ++seen;
      if (!record.numbers.collapsed()) continue;
      ++collapsed;
      if (!worst || record.numbers.cost() > worst->numbers.cost()) worst = &record;
    }
    if (!worst) continue;
    groups = groups_of(*worst);
    const int64_t group = worst->numbers.largest_group();
    findings.push_back(formatted(
        "layer %lld: the router has collapsed in %lld of %lld observed steps: group %lld has up to %.1f %% of the "
        "tokens "
        "(even: %.1f %%)",
        static_cast<long long>(layer), static_cast<long long>(collapsed), static_cast<long long>(seen),
        static_cast<long long>(group), 100 * worst->numbers.share(group), 100.0 / static_cast<double>(groups)));
  }
  return findings;
}

}  // namespace moga
