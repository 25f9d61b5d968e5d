// See adapters.h.
#include "moga/model/adapter/adapters.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/core/shapes_only.h"
#include "moga/model/adapter/moga_adapter.h"

namespace moga {
namespace {

// The number after the last colon, if there is one.
std::optional<double> weight_in(const std::string& text, size_t colon) {
  const char *begin = text.data() + colon + 1, *end = text.data() + text.size();
  double value = 0;
  const auto [last, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || last != end || begin == end) return std::nullopt;
  return value;
}

bool concerns(LoraExpert request, LoraExpert expert) { return request == LoraExpert::kEach || request == expert; }

void check_one_transformer(const LoraRequest& request) {
  check(request.expert == LoraExpert::kEach, request.file.string(), ": is for the expert '", name_of(request.expert),
        "', the model has one transformer");
}

void log_lora(const LoraFile& file, const LoraMatch& match, double weight) {
  log_info(file.source(), ": updates ", match.size(), " layers, rank up to ", match.largest_rank(), ", weight ",
           weight);
}

}  // namespace

LoraRequest parse_lora_request(const std::string& text) {
  LoraRequest request;
  std::string rest = text;
  for (const auto& expert : kChoices<LoraExpert>) {
    const std::string prefix = std::string(expert.name) + ":";
    if (!rest.starts_with(prefix)) continue;
    request.expert = expert.value;
    rest.erase(0, prefix.size());
    break;
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string::npos && !std::filesystem::exists(rest)) {
    const auto weight = weight_in(rest, colon);
    check(weight && std::isfinite(*weight), "--lora ", text, ": '", rest.substr(colon + 1),
          "' is no weight; expected FILE or FILE:WEIGHT");
    request.weight = *weight;
    rest.resize(colon);
  }
  check(!rest.empty(), "--lora '", text, "': no file; expected FILE or FILE:WEIGHT");
  request.file = rest;
  return request;
}

std::vector<LoraRequest> parse_lora_requests(const std::vector<std::string>& texts) {
  std::vector<LoraRequest> requests;
  for (const std::string& text : texts) requests.push_back(parse_lora_request(text));
  return requests;
}

std::vector<std::string> adapter_settings(const std::filesystem::path& adapter) {
  return adapter.empty() ? std::vector<std::string>() : MogaAdapter(adapter).settings();
}

struct Adapters::Parts {
  struct Lora {
    LoraMatch match;
    double weight;
  };
  std::vector<Lora> loras;
  std::optional<MogaAdapter> moga;
};

Adapters::Adapters(const AdapterRequests& requests, const VideoModelConfig& config, LoraExpert expert) {
  if (requests.empty()) return;
  std::shared_ptr<VideoModel> shapes;
  {
    const ShapesOnly shapes_only;
    shapes = config.build(/*initialise=*/false);
  }
  auto parts = std::make_shared<Parts>();
  const auto add = [&](const LoraFile& file, double weight) {
    parts->loras.push_back({LoraMatch(file, *shapes), weight});
    log_lora(file, parts->loras.back().match, weight);
  };
  if (!requests.adapter.empty()) {
    parts->moga.emplace(requests.adapter);
    parts->moga->check_fits(*shapes);
    if (!parts->moga->lora().updates().empty()) add(parts->moga->lora(), 1);
  }
  for (const LoraRequest& request : requests.loras) {
    if (expert == LoraExpert::kEach) check_one_transformer(request);
    if (!concerns(request.expert, expert)) continue;
    LoraFile file(request.file);
    const bool names_both = !file.of_other_expert().empty() && request.expert == LoraExpert::kEach;
    if (names_both && expert == LoraExpert::kLow) file = LoraFile(request.file, /*second_expert=*/true);
    check(file.routers().empty(), file.source(), ": has routers, it is a MoGA adapter; expected --adapter");
    check(expert != LoraExpert::kEach || file.of_other_expert().empty(), file.source(), ": ",
          listed(file.of_other_expert()), ": updates of a second expert, the model has one transformer");
    add(file, request.weight);
  }
  parts_ = std::move(parts);
}

std::function<void(VideoModel&)> Adapters::adapt(at::Device device, at::ScalarType dtype) const {
  if (!parts_) return {};
  return [parts = parts_, device, dtype](VideoModel& model) {
    if (parts->moga) parts->moga->apply_routers(model);
    for (const auto& [match, weight] : parts->loras) match.apply(model, weight, device, dtype);
  };
}

}  // namespace moga
