// See packed_weights.h.
#include "moga/model/layers/packed_weights.h"

namespace moga {
namespace {

constexpr int64_t kAlignment = 256;  // bytes

int64_t aligned_bytes(const at::Tensor& parameter) {
  return (static_cast<int64_t>(parameter.nbytes()) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

int64_t packed_bytes(const std::vector<at::Tensor>& parameters) {
  int64_t bytes = 0;
  for (const at::Tensor& parameter : parameters) bytes += aligned_bytes(parameter);
  return bytes;
}

void view_in(std::vector<at::Tensor>& parameters, const at::Tensor& bytes) {
  int64_t begin = 0;
  for (at::Tensor& parameter : parameters) {
    const auto size = static_cast<int64_t>(parameter.nbytes());
    parameter.set_data(bytes.narrow(0, begin, size).view(parameter.scalar_type()).view(parameter.sizes()));
    begin += aligned_bytes(parameter);
  }
}

}  // namespace moga
