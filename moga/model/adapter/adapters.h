// The adapters of a run, in the order given: LoRA files and at most one MoGA adapter. They are read and compared with
// the model's shapes before any of its weights, and added once these are loaded.
//
//   const Adapters adapters(requests, config);
//   load_video_model(folder, {.device = …, .dtype = …, .adapt = adapters.adapt(device, dtype)});
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/model/video_model.h"

namespace moga {

enum class LoraExpert { kEach, kHigh, kLow };
template <>
inline constexpr auto kChoices<LoraExpert> = std::array{
    Choice{LoraExpert::kEach, "each", "every transformer of the model"},
    Choice{LoraExpert::kHigh, "high", "the expert of high noise (transformer)"},
    Choice{LoraExpert::kLow, "low", "the expert of low noise (transformer_2)"},
};

struct LoraRequest {
  std::filesystem::path file;
  double weight = 1;
  LoraExpert expert = LoraExpert::kEach;
};

// "FILE", "FILE:0.8", "high:FILE", "low:FILE:0.8".
LoraRequest parse_lora_request(const std::string& text);
std::vector<LoraRequest> parse_lora_requests(const std::vector<std::string>& texts);

struct AdapterRequests {
  std::vector<LoraRequest> loras = {};
  std::filesystem::path adapter = {};  // a MoGA adapter (moga_adapter.h); empty: none

  bool empty() const { return loras.empty() && adapter.empty(); }
};

// What a MoGA adapter sets in a transformer's config, to be applied before other settings: {"moga.kind=moga", …}. Empty
// for an empty path.
std::vector<std::string> adapter_settings(const std::filesystem::path& adapter);

// Those for one expert of a model that has two, or for a model's only transformer.
class Adapters {
 public:
  // `expert`: which transformer of a model with two; kEach: the model has one, and a request or file for a single
  // expert is an error. Throws one line for a file that is not understood or does not fit `config`.
  Adapters(const AdapterRequests& requests, const VideoModelConfig& config, LoraExpert expert = LoraExpert::kEach);

  // Adds them to a model. Factors are kept on `device` in `dtype`. Empty when there are none.
  std::function<void(VideoModel&)> adapt(at::Device device, at::ScalarType dtype) const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace moga
