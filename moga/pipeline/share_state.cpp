// See share_state.h. Shapes and dtypes travel as JSON, the tensors by broadcasts.
#include "moga/pipeline/share_state.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

namespace moga {
namespace {

std::vector<at::Tensor> tensors_of(const SampleState& state) {
  std::vector<at::Tensor> tensors = state.solver;
  tensors.insert(tensors.begin(), state.x);
  return tensors;
}

std::string describe(const SampleState& state) {
  nlohmann::json tensors = nlohmann::json::array();
  for (const at::Tensor& tensor : tensors_of(state))
    tensors.push_back({tensor.sizes().vec(), static_cast<int>(tensor.scalar_type())});
  return nlohmann::json{{"steps", state.steps}, {"tensors", tensors}}.dump();
}

// Of this description, with tensors that are not filled.
SampleState empty_state(const std::string& description, at::Device device) {
  const nlohmann::json json = nlohmann::json::parse(description);
  SampleState state{json["steps"].get<int64_t>(), {}, {}};
  for (const nlohmann::json& tensor : json["tensors"])
    state.solver.push_back(at::empty(tensor[0].get<std::vector<int64_t>>(),
                                     at::device(device).dtype(static_cast<at::ScalarType>(tensor[1].get<int>()))));
  state.x = state.solver.front();
  state.solver.erase(state.solver.begin());
  return state;
}

SampleState on_device(SampleState state, at::Device device) {
  state.x = state.x.to(device).contiguous();
  for (at::Tensor& tensor : state.solver) tensor = tensor.to(device).contiguous();
  return state;
}

}  // namespace

SampleState share_state(const ProcessGroup& ranks, const SampleState& own, at::Device device) {
  if (ranks.size() == 1) return on_device(own, device);
  const bool first = ranks.rank() == 0;
  const std::string description = ranks.all_gather_text(first ? describe(own) : "").front();
  const SampleState state = first ? on_device(own, device) : empty_state(description, device);
  for (const at::Tensor& tensor : tensors_of(state)) ranks.broadcast(tensor, 0);
  return state;
}

}  // namespace moga
